package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/step"
)

// order is the data of the event shop/order.placed.
type order struct {
	ID    string   `json:"id"`
	Email string   `json:"email"`
	Cents int      `json:"cents"`
	Items []string `json:"items"`
}

// receipt is what the function returns.
type receipt struct {
	Order        string   `json:"order"`
	Charge       string   `json:"charge"`
	Reservations []string `json:"reservations"`
	Shipment     string   `json:"shipment"`
}

// handleOrder charges the card, reserves all items at once, waits for the customer to change their mind, books a
// carrier that is down at first, and sends an e-mail. Each step runs once, whatever happens between them.
func handleOrder(ctx context.Context, input inngestgo.Input[order]) (any, error) {
	order := input.Event.Data
	charge, err := step.Run(ctx, "charge card", func(context.Context) (string, error) {
		work(120 * time.Millisecond)
		return fmt.Sprintf("ch_%s_%d", order.ID, order.Cents), nil
	})
	if err != nil {
		return nil, err
	}
	var reserve []func(context.Context) (any, error)
	for _, item := range order.Items {
		reserve = append(reserve, func(ctx context.Context) (any, error) {
			return step.Run(ctx, "reserve "+item, func(context.Context) (string, error) {
				work(200 * time.Millisecond)
				return "rs_" + item, nil
			})
		})
	}
	reserved := group.Parallel(ctx, reserve...)
	if err := reserved.AnyError(); err != nil {
		return nil, err
	}
	step.Sleep(ctx, "time to change one's mind", 2*time.Second)
	shipment, err := step.Run(ctx, "book carrier", func(context.Context) (string, error) {
		work(80 * time.Millisecond)
		if input.InputCtx.Attempt < 2 {
			return "", errors.New("carrier answers 503")
		}
		return "sh_" + order.ID, nil
	})
	if err != nil {
		return nil, err
	}
	if _, err := step.Run(ctx, "send e-mail", func(context.Context) (string, error) {
		work(60 * time.Millisecond)
		return "to " + order.Email, nil
	}); err != nil {
		return nil, err
	}
	result := receipt{Order: order.ID, Charge: charge, Shipment: shipment}
	for _, reservation := range reserved {
		result.Reservations = append(result.Reservations, fmt.Sprint(reservation.Value))
	}
	return result, nil
}

// work takes as long as the real thing would.
func work(d time.Duration) { time.Sleep(d) }
