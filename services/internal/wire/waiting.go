package wire

import (
	runnerv1 "github.com/stepwell/stepwell/proto/gen/stepwell/runner/v1"
	"github.com/stepwell/stepwell/services/internal/stepwell"
)

// Waiting are the messages of items that wait.
func Waiting(waiting map[stepwell.ItemID]stepwell.Waiting) []*runnerv1.WaitingItem {
	var items []*runnerv1.WaitingItem
	for id, w := range waiting {
		items = append(items, &runnerv1.WaitingItem{
			ItemId: string(id), Reason: enum[runnerv1.WaitingReason](w.Why), Limit: limitKey(w.Limit), Ahead: int32(w.Ahead),
		})
	}
	return items
}

// FromWaiting are the items that wait of messages.
func FromWaiting(items []*runnerv1.WaitingItem) map[stepwell.ItemID]stepwell.Waiting {
	waiting := map[stepwell.ItemID]stepwell.Waiting{}
	for _, m := range items {
		waiting[stepwell.ItemID(m.GetItemId())] = stepwell.Waiting{
			Why: fromEnum[stepwell.Why](m.GetReason()), Limit: fromLimitKey(m.GetLimit()), Ahead: int(m.GetAhead()),
		}
	}
	return waiting
}
