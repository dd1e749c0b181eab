package wire

import (
	functionv1 "github.com/stepwell/stepwell/proto/gen/stepwell/function/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// App is the message of an app.
func App(a stepwell.App) *functionv1.App {
	return &functionv1.App{
		Id: UUID(a.ID.UUID), EnvironmentId: UUID(a.Environment.UUID), Name: a.Name, Url: a.URL, Sdk: a.SDK,
		Framework: a.Framework, Version: a.Version, Checksum: a.Checksum, SyncTime: Time(a.SyncedAt),
	}
}

// FromApp is the app of a message.
func FromApp(m *functionv1.App) stepwell.App {
	return stepwell.App{
		ID:          stepwell.AppID{UUID: FromUUID(m.GetId())},
		Environment: stepwell.EnvironmentID{UUID: FromUUID(m.GetEnvironmentId())},
		Name:        m.GetName(), URL: m.GetUrl(), SDK: m.GetSdk(), Framework: m.GetFramework(),
		Version: m.GetVersion(), Checksum: m.GetChecksum(), SyncedAt: FromTime(m.GetSyncTime()),
	}
}

// Function is the message of a function.
func Function(f stepwell.Function) *functionv1.Function {
	return &functionv1.Function{
		Id: UUID(f.ID.UUID), EnvironmentId: UUID(f.Environment.UUID), AppId: UUID(f.App.UUID), Slug: f.Slug,
		Name: f.Name, Version: int32(f.Version), Url: f.URL, Retries: int32(f.Retries),
		Triggers: Each(f.Triggers, trigger), FlowControl: flowControl(f.FlowControl),
		CreateTime: Time(f.CreatedAt), ArchiveTime: Time(f.ArchivedAt), Hold: Hold(f.Hold),
	}
}

// FromFunction is the function of a message.
func FromFunction(m *functionv1.Function) stepwell.Function {
	return stepwell.Function{
		ID:          stepwell.FunctionID{UUID: FromUUID(m.GetId())},
		Environment: stepwell.EnvironmentID{UUID: FromUUID(m.GetEnvironmentId())},
		App:         stepwell.AppID{UUID: FromUUID(m.GetAppId())}, Slug: m.GetSlug(), Name: m.GetName(),
		Version: int(m.GetVersion()), URL: m.GetUrl(), Retries: int(m.GetRetries()),
		Triggers:    Each(m.GetTriggers(), fromTrigger),
		FlowControl: fromFlowControl(m.GetFlowControl()),
		CreatedAt:   FromTime(m.GetCreateTime()), ArchivedAt: FromTime(m.GetArchiveTime()), Hold: FromHold(m.GetHold()),
	}
}

// Hold is the proto value of a hold.
func Hold(h stepwell.Hold) functionv1.Hold { return enum[functionv1.Hold](h) }

// FromHold is the hold of a proto value.
func FromHold(h functionv1.Hold) stepwell.Hold { return fromEnum[stepwell.Hold](h) }

func trigger(t stepwell.Trigger) *functionv1.Trigger {
	return &functionv1.Trigger{Event: t.Event, Expression: t.Expression, Cron: t.Cron, Jitter: duration(t.Jitter), Endpoint: t.Endpoint}
}

func fromTrigger(m *functionv1.Trigger) stepwell.Trigger {
	return stepwell.Trigger{
		Event: m.GetEvent(), Expression: m.GetExpression(), Cron: m.GetCron(), Jitter: m.GetJitter().AsDuration(),
		Endpoint: m.GetEndpoint(),
	}
}

func flowControl(f stepwell.FlowControl) *functionv1.FlowControl {
	return &functionv1.FlowControl{
		Concurrency: Each(f.Concurrency, concurrency),
		Throttle: optional(f.Throttle, func(t stepwell.Throttle) *functionv1.Throttle {
			return &functionv1.Throttle{
				Limit: int32(t.Limit), Burst: int32(t.Burst), Period: duration(t.Period), Key: t.Key,
			}
		}),
		RateLimit: optional(f.RateLimit, func(r stepwell.RateLimit) *functionv1.RateLimit {
			return &functionv1.RateLimit{Limit: int32(r.Limit), Period: duration(r.Period), Key: r.Key}
		}),
		Debounce: optional(f.Debounce, func(d stepwell.Debounce) *functionv1.Debounce {
			return &functionv1.Debounce{Period: duration(d.Period), Timeout: duration(d.Timeout), Key: d.Key}
		}),
		Batch: optional(f.Batch, func(b stepwell.Batch) *functionv1.Batch {
			return &functionv1.Batch{
				SizeMax: int32(b.SizeMax), Timeout: duration(b.Timeout), Key: b.Key, Condition: b.Condition,
			}
		}),
		Priority: f.Priority, Idempotency: f.Idempotency, CancelOn: Each(f.CancelOn, cancelOn),
		StartWithin: duration(f.StartWithin), FinishWithin: duration(f.FinishWithin),
		Singleton: optional(f.Singleton, func(s stepwell.Singleton) *functionv1.Singleton {
			return &functionv1.Singleton{Key: s.Key, Mode: enum[functionv1.SingletonMode](s.Mode)}
		}),
	}
}

func fromFlowControl(m *functionv1.FlowControl) stepwell.FlowControl {
	return stepwell.FlowControl{
		Concurrency: Each(m.GetConcurrency(), fromConcurrency),
		Throttle: fromOptional(m.GetThrottle(), func(m *functionv1.Throttle) stepwell.Throttle {
			return stepwell.Throttle{
				Limit: int(m.GetLimit()), Burst: int(m.GetBurst()), Period: m.GetPeriod().AsDuration(), Key: m.GetKey(),
			}
		}),
		RateLimit: fromOptional(m.GetRateLimit(), func(m *functionv1.RateLimit) stepwell.RateLimit {
			return stepwell.RateLimit{Limit: int(m.GetLimit()), Period: m.GetPeriod().AsDuration(), Key: m.GetKey()}
		}),
		Debounce: fromOptional(m.GetDebounce(), func(m *functionv1.Debounce) stepwell.Debounce {
			return stepwell.Debounce{
				Period: m.GetPeriod().AsDuration(), Timeout: m.GetTimeout().AsDuration(), Key: m.GetKey(),
			}
		}),
		Batch: fromOptional(m.GetBatch(), func(m *functionv1.Batch) stepwell.Batch {
			return stepwell.Batch{
				SizeMax: int(m.GetSizeMax()), Timeout: m.GetTimeout().AsDuration(), Key: m.GetKey(),
				Condition: m.GetCondition(),
			}
		}),
		Priority: m.GetPriority(), Idempotency: m.GetIdempotency(), CancelOn: Each(m.GetCancelOn(), fromCancelOn),
		StartWithin: m.GetStartWithin().AsDuration(), FinishWithin: m.GetFinishWithin().AsDuration(),
		Singleton: fromOptional(m.GetSingleton(), func(m *functionv1.Singleton) stepwell.Singleton {
			return stepwell.Singleton{Key: m.GetKey(), Mode: fromEnum[stepwell.SingletonMode](m.GetMode())}
		}),
	}
}

func concurrency(c stepwell.Concurrency) *functionv1.Concurrency {
	return &functionv1.Concurrency{
		Limit: int32(c.Limit), Key: c.Key, Scope: enum[functionv1.Scope](c.Scope), Runs: c.Runs,
	}
}

func fromConcurrency(m *functionv1.Concurrency) stepwell.Concurrency {
	return stepwell.Concurrency{
		Limit: int(m.GetLimit()), Key: m.GetKey(), Scope: fromEnum[stepwell.Scope](m.GetScope()), Runs: m.GetRuns(),
	}
}

func cancelOn(c stepwell.CancelOn) *functionv1.CancelOn {
	return &functionv1.CancelOn{Event: c.Event, Condition: c.Condition, After: duration(c.After), At: Time(c.At)}
}

func fromCancelOn(m *functionv1.CancelOn) stepwell.CancelOn {
	return stepwell.CancelOn{
		Event: m.GetEvent(), Condition: m.GetCondition(), After: m.GetAfter().AsDuration(), At: FromTime(m.GetAt()),
	}
}
