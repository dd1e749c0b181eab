package wire

import (
	runv1 "github.com/stepwell/stepwell/proto/gen/stepwell/run/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

func buffering(b stepwell.Buffering) *runv1.Buffering {
	return &runv1.Buffering{
		KeyHash: b.KeyHash, SizeMax: int32(b.SizeMax), For: duration(b.For), Within: duration(b.Within),
		EventTime: Time(b.EventTime), Bytes: int64(b.Bytes), Displaced: optional(b.Displaced, resume),
	}
}

func fromBuffering(m *runv1.Buffering) stepwell.Buffering {
	return stepwell.Buffering{
		KeyHash: m.GetKeyHash(), SizeMax: int(m.GetSizeMax()), For: m.GetFor().AsDuration(),
		Within: m.GetWithin().AsDuration(), EventTime: FromTime(m.GetEventTime()), Bytes: int(m.GetBytes()),
		Displaced: fromOptional(m.GetDisplaced(), fromResume),
	}
}

// Buffer is the message of a buffer.
func Buffer(b stepwell.Buffer) *runv1.Buffer {
	return &runv1.Buffer{
		Run: Run(b.Run), KeyHash: b.KeyHash, Batch: b.Batch, FirstTime: Time(b.FirstAt), FireTime: Time(b.FireAt),
		EventTime: Time(b.EventTime), Bytes: int64(b.Bytes), Displaced: optional(b.Displaced, resume),
	}
}

// FromBuffer is the buffer of a message.
func FromBuffer(m *runv1.Buffer) stepwell.Buffer {
	return stepwell.Buffer{
		Run: FromRun(m.GetRun()), KeyHash: m.GetKeyHash(), Batch: m.GetBatch(), FirstAt: FromTime(m.GetFirstTime()),
		FireAt: FromTime(m.GetFireTime()), EventTime: FromTime(m.GetEventTime()), Bytes: int(m.GetBytes()),
		Displaced: fromOptional(m.GetDisplaced(), fromResume),
	}
}
