package executor

import (
	"context"
	"time"

	"github.com/stepwell/stepwell/services/internal/sdk"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// reenter calls an endpoint of an app again, with the request that started the run.
func (c caller) reenter(ctx context.Context, call sdk.Call) stepwell.Outcome {
	reentry, err := sdk.NewReentry(call)
	if err != nil {
		return failed(unreachable("the request to the endpoint cannot be made again: %v", err))
	}
	signed, err := c.signer.Sign(reentry.Signs(), time.Now())
	if err != nil {
		return failed(unreachable("the request to the endpoint cannot be made again: %v", err))
	}
	body := reentry.Body()
	if len(signed.Body) > 0 {
		body = signed.Body // SDKs would disagree about what they are to verify otherwise
	}
	header := reentry.Header()
	header.Set(sdk.HeaderSignature, signed.Signature)
	if parent := traceparent(ctx, call.State); parent != "" {
		header.Set(headerTraceparent, parent)
	}
	response, err := c.follow(ctx, request{
		method: reentry.Method(), target: reentry.URL(), header: header, body: body, endpoint: true,
	})
	if err != nil {
		return unanswered(ctx, call.State, err)
	}
	return reentry.Parse(response, time.Now())
}
