// Package wire turns the domain's nouns into proto messages and back.
//
// It must not judge: what is missing becomes a zero value, and whoever uses the value checks it. Two exceptions, since
// later code could not tell: ids of a wrong length become zero ids, and unknown enum values their first one.
package wire

import (
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Time is the timestamp of an instant; nil for the zero time.
func Time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// FromTime is the instant in UTC; the zero time for nil.
func FromTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func duration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// ULID is the id's 16 bytes; nil for the zero id.
func ULID(id ulid.ULID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

// FromULID is the id of 16 bytes, else the zero id.
func FromULID(b []byte) ulid.ULID {
	var id ulid.ULID
	if len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}

// UUID is the id's 16 bytes; nil for the zero id.
func UUID(id uuid.UUID) []byte {
	if id == uuid.Nil {
		return nil
	}
	return id[:]
}

// FromUUID is the id of 16 bytes, else the zero id.
func FromUUID(b []byte) uuid.UUID {
	var id uuid.UUID
	if len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}

// enum is the proto value of one of our enums: ours count from 0, theirs begin with an unspecified value.
func enum[Proto ~int32, Ours ~int](value Ours) Proto { return Proto(value) + 1 }

// fromEnum is the reverse of enum.
func fromEnum[Ours ~int, Proto ~int32](value Proto) Ours { return Ours(max(0, value-1)) }

// Each maps a list.
func Each[In, Out any](in []In, convert func(In) Out) []Out {
	if in == nil {
		return nil
	}
	out := make([]Out, len(in))
	for i, v := range in {
		out[i] = convert(v)
	}
	return out
}

// optional maps what may be absent.
func optional[In, Out any](in *In, convert func(In) *Out) *Out {
	if in == nil {
		return nil
	}
	return convert(*in)
}

// fromOptional maps what may be absent.
func fromOptional[In, Out any](in *In, convert func(*In) Out) *Out {
	if in == nil {
		return nil
	}
	out := convert(in)
	return &out
}
