package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	clusterNodes = 3
	// slots is how many hash slots a cluster has, by Redis' design.
	slots = 16384
)

// Cluster is a Redis Cluster of three masters.
type Cluster struct {
	// Nodes are the masters. The hash slots are divided among them evenly and in order.
	Nodes []*Server
}

// Addresses are the nodes' host:port.
func (c *Cluster) Addresses() []string {
	addresses := make([]string, len(c.Nodes))
	for i, node := range c.Nodes {
		addresses[i] = strings.TrimPrefix(node.URL, "redis://")
	}
	return addresses
}

func (c *Cluster) stop() {
	for _, node := range c.Nodes {
		node.stop()
	}
}

// launchCluster starts a cluster and waits until its nodes agree.
func launchCluster(ctx context.Context) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cluster := &Cluster{}
	if err := cluster.start(ctx); err != nil {
		cluster.stop()
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	return cluster, nil
}

func (c *Cluster) start(ctx context.Context) error {
	var clients []*redis.Client
	var buses []int
	for i := range clusterNodes {
		bus, err := freePort()
		if err != nil {
			return err
		}
		node, err := launch("--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus))
		if err != nil {
			return err
		}
		c.Nodes, buses = append(c.Nodes, node), append(buses, bus)
		client, err := node.open()
		if err != nil {
			return err
		}
		defer client.Close()
		clients = append(clients, client)
		first, next := i*slots/clusterNodes, (i+1)*slots/clusterNodes
		err = errors.Join(
			client.ClusterAddSlotsRange(ctx, first, next-1).Err(),
			// Nodes that meet with the same epoch first have to settle who is who, which takes seconds.
			client.Do(ctx, "cluster", "set-config-epoch", i+1).Err(),
		)
		if err != nil {
			return fmt.Errorf("give slots: %w", err)
		}
	}
	for i, address := range c.Addresses()[1:] {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return fmt.Errorf("read address: %w", err)
		}
		if err := clients[0].Do(ctx, "cluster", "meet", host, port, buses[i+1]).Err(); err != nil {
			return fmt.Errorf("introduce node: %w", err)
		}
	}
	return agreed(ctx, clients)
}

// agreed waits until every node knows every other and that all slots are served.
func agreed(ctx context.Context, nodes []*redis.Client) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		count := 0
		var state string
		for _, node := range nodes {
			var err error
			if state, err = node.ClusterInfo(ctx).Result(); err != nil {
				return fmt.Errorf("ask for the cluster's state: %w", err)
			}
			known, err := node.ClusterShards(ctx).Result()
			if err != nil {
				return fmt.Errorf("ask for the shards of the cluster: %w", err)
			}
			if strings.Contains(state, "cluster_state:ok") && len(known) == len(nodes) {
				count++
			}
		}
		if count == len(nodes) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the nodes do not agree: %s", state)
		}
	}
}
