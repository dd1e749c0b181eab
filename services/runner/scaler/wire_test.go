package scaler_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
)

// bytesOnly carries messages as they are on the wire.
type bytesOnly struct{}

func (bytesOnly) Name() string                        { return "proto" }
func (bytesOnly) Marshal(message any) ([]byte, error) { return message.([]byte), nil }

func (bytesOnly) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte{}, data...)
	return nil
}

func text(number protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func nested(number protowire.Number, parts ...[]byte) []byte {
	var message []byte
	for _, part := range parts {
		message = append(message, part...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), message)
}

func whole(number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), value)
}

func real64(number protowire.Number, value float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, number, protowire.Fixed64Type), math.Float64bits(value))
}

// TestWireIsKEDAs: the names and numbers are those of its externalscaler.proto (v2.21.0), spelled out here, since no
// compiler compares them.
func TestWireIsKEDAs(t *testing.T) {
	play(t, func(r *rig) {
		call := func(method string, request []byte) []byte {
			var response []byte
			require.NoError(r, r.conn.Invoke(r.Context(), "/externalscaler.ExternalScaler/"+method, request, &response,
				grpc.ForceCodec(bytesOnly{})))
			return response
		}
		join := func(parts ...[]byte) (all []byte) {
			for _, part := range parts {
				all = append(all, part...)
			}
			return all
		}
		ref := [][]byte{text(1, "executor"), text(2, "stepwell"), nested(3, text(1, "oldestDueSeconds"), text(2, "2.5"))}
		require.Empty(r, call("IsActive", join(ref...)), "false is not sent")
		require.Equal(r, join(
			nested(1, text(1, "ready_items"), whole(2, 100), real64(3, 100)),
			nested(1, text(1, "due_items"), whole(2, 100), real64(3, 100)),
			nested(1, text(1, "oldest_due_seconds"), whole(2, 3), real64(3, 2.5)),
		), call("GetMetricSpec", join(ref...)))

		r.enqueue(3, 0)
		<-time.After(1500 * time.Millisecond)
		require.Equal(r, whole(1, 1), call("IsActive", join(ref...)))
		require.Equal(r, nested(1, text(1, "oldest_due_seconds"), whole(2, 2), real64(3, 1.5)),
			call("GetMetrics", join(nested(1, ref...), text(2, "oldest_due_seconds"))))

		description := grpc.StreamDesc{ServerStreams: true}
		stream, err := r.conn.NewStream(r.Context(), &description, "/externalscaler.ExternalScaler/StreamIsActive",
			grpc.ForceCodec(bytesOnly{}))
		require.NoError(r, err)
		require.NoError(r, stream.SendMsg(join(ref...)))
		require.NoError(r, stream.CloseSend())
		var response []byte
		require.NoError(r, stream.RecvMsg(&response))
		require.Equal(r, whole(1, 1), response)
	})
}
