package stepwell

// EndpointEventID is the id of the event that tells of a request to an endpoint. It is derived from the id that the app
// made for the run, so that a report that is repeated tells of the same event.
func EndpointEventID(run RunID) EventID {
	return NewEventID(run.Timestamp(), "endpoint "+run.String())
}
