package rpc

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// errorCodes is the one table of errors on the wire, but for ErrFull. Both ways: the first match wins.
func errorCodes() []errorCode {
	return []errorCode{
		{stepwell.ErrNotFound, codes.NotFound},
		{stepwell.ErrConflict, codes.Aborted},
		{stepwell.ErrInvalid, codes.InvalidArgument},
		{stepwell.ErrTooLarge, codes.ResourceExhausted},
		{stepwell.ErrUnauthorized, codes.Unauthenticated},
		{stepwell.ErrUnavailable, codes.Unavailable},
		{stepwell.ErrStale, codes.FailedPrecondition},
		{stepwell.ErrTaken, codes.AlreadyExists},
		{stepwell.ErrLeaseLost, codes.OutOfRange},
		{context.Canceled, codes.Canceled},
		// A deadline leaves open what was done, as does a service that does not answer.
		{stepwell.ErrUnavailable, codes.DeadlineExceeded},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		// A release before the caller's does not know the call. It is about to be replaced (I32).
		{stepwell.ErrUnavailable, codes.Unimplemented},
	}
}

type errorCode struct {
	err  error
	code codes.Code
}

// ToStatus is the status of an error; its message is the error's text.
func ToStatus(err error) *status.Status {
	if errors.Is(err, stepwell.ErrFull) {
		return full(err)
	}
	for _, entry := range errorCodes() {
		if errors.Is(err, entry.err) {
			return status.New(entry.code, err.Error())
		}
	}
	if s, ok := status.FromError(err); ok {
		return s
	}
	return status.New(codes.Internal, err.Error())
}

// full is RESOURCE_EXHAUSTED as a bound that was exceeded is, but says when to try again.
func full(err error) *status.Status {
	exhausted := status.New(codes.ResourceExhausted, err.Error())
	later, impossible := exhausted.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(stepwell.FullRetryAfter)})
	if impossible != nil { // a message can always be added to what is no success
		return exhausted
	}
	return later
}

func isRetryInfo(detail any) bool {
	_, is := detail.(*errdetails.RetryInfo)
	return is
}

// FromStatus is the error of a status: its text is the message, and errors.Is finds the sentinel. nil for OK.
func FromStatus(s *status.Status) error {
	if s.Code() == codes.OK {
		return nil
	}
	if s.Code() == codes.ResourceExhausted && slices.ContainsFunc(s.Details(), isRetryInfo) {
		return &remoteError{kind: stepwell.ErrFull, text: s.Message()}
	}
	for _, entry := range errorCodes() {
		if s.Code() == entry.code {
			return &remoteError{kind: entry.err, text: s.Message()}
		}
	}
	return s.Err()
}

// remoteError is an error of another process.
type remoteError struct {
	kind error
	text string
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }
