package memqueue

import "container/heap"

// entryHeap is a heap of entries that knows where each of them is, so that any can be taken out.
type entryHeap struct {
	entries []*entry
	less    func(a, b *entry) bool
}

func (h *entryHeap) put(e *entry)    { heap.Push((*heapOrder)(h), e) }
func (h *entryHeap) remove(e *entry) { heap.Remove((*heapOrder)(h), e.at) }
func (h *entryHeap) len() int        { return len(h.entries) }
func (h *entryHeap) first() *entry   { return h.entries[0] }
func (h *entryHeap) takeFirst() *entry {
	e := h.first()
	h.remove(e)
	return e
}

// heapOrder implements heap.Interface.
type heapOrder entryHeap

func (h *heapOrder) Len() int           { return len(h.entries) }
func (h *heapOrder) Less(i, j int) bool { return h.less(h.entries[i], h.entries[j]) }

func (h *heapOrder) Swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.entries[i].at, h.entries[j].at = i, j
}

func (h *heapOrder) Push(x any) {
	e, _ := x.(*entry)
	e.at = len(h.entries)
	h.entries = append(h.entries, e)
}

func (h *heapOrder) Pop() any {
	last := len(h.entries) - 1
	e := h.entries[last]
	h.entries[last] = nil
	h.entries = h.entries[:last]
	return e
}
