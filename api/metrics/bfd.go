package metrics

var (
	bfdUp        = desc("bfd_session_up", "1 when the BFD session is up.", "neighbour", "address")
	bfdWithheld  = desc("bfd_path_withheld", "1 while flows take other paths because the session has failed.", "neighbour", "address")
	bfdDetection = desc("bfd_detection_seconds", "Detection time of the session.", "neighbour", "address")
	bfdPackets   = desc("bfd_session_events_total", "Packets and changes of the session, by what happened.", "neighbour", "address", "event")
	bfdStrangers = desc("bfd_refused_packets_total", "Packets that belong to no session, by what was wrong.", "reason")
)

// bfd sends the sessions; nothing without BFD.
func (c collector) bfd(o *out) {
	b := c.b.BFD()
	for _, s := range bounded(o, b.Sessions) {
		at := []string{s.Name, s.Address.String()}
		o.flag(bfdUp, s.State == "up", at...)
		o.flag(bfdWithheld, s.PathWithheld, at...)
		o.gauge(bfdDetection, s.Detection.D().Seconds(), at...)
		for _, n := range s.Counters {
			o.counter(bfdPackets, n.Value, at[0], at[1], n.Name)
		}
	}
	for _, n := range b.Strangers {
		o.counter(bfdStrangers, n.Value, n.Name)
	}
}
