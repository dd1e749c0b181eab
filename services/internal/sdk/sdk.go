// Package sdk speaks the wire protocol of the unmodified Inngest SDKs: it builds call requests, reads answers and
// registrations, and knows the headers.
//
// It must not decide what an answer means for a run (package engine does), call anybody, or read a clock.
package sdk

import "time"

// The headers of calls and answers. Names are case-insensitive on the wire.
const (
	HeaderSDK            = "X-Inngest-Sdk"
	HeaderRequestVersion = "X-Inngest-Req-Version"
	HeaderNoRetry        = "X-Inngest-No-Retry"
	HeaderRetryAfter     = "Retry-After"
	HeaderServerKind     = "X-Inngest-Server-Kind"
	HeaderExpectedKind   = "X-Inngest-Expected-Server-Kind"
	HeaderSyncKind       = "X-Inngest-Sync-Kind"
	HeaderRunID          = "X-Run-ID"
	HeaderRequestID      = "X-Request-ID"
	HeaderGenerationID   = "X-Inngest-Generation-ID"
	HeaderJobID          = "X-Inngest-Job-ID"
	HeaderStepID         = "X-Inngest-Step-ID"
	HeaderEventIDSeed    = "X-Inngest-Event-Id-Seed"
	HeaderSignature      = "X-Inngest-Signature"
	HeaderForceStepPlan  = "X-Inngest-Force-Step-Plan"
)

// The values of HeaderSyncKind.
const (
	SyncInBand    = "in_band"
	SyncOutOfBand = "out_of_band"
)

// The values of HeaderServerKind.
const (
	KindDev   = "dev"
	KindCloud = "cloud"
)

// The bounds of the protocol (docs/limits.md).
const (
	// CallBytesMax bounds the body of a call to an app whose SDK can ask for what is left out.
	CallBytesMax = 4 << 20
	// ResponseBytesMax bounds an app's answer to a call.
	ResponseBytesMax = 8 << 20
	// OpsMax bounds the operations of one answer.
	OpsMax = 1000
	// SleepMax bounds a sleep.
	SleepMax = 366 * 24 * time.Hour
	// RetryAfterMin and RetryAfterMax bound what an app may ask for.
	RetryAfterMin = time.Second
	RetryAfterMax = 24 * time.Hour
	// failureBytesMax bounds the part of a foreign answer that is kept.
	failureBytesMax = 8 << 10
)
