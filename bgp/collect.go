package bgp

// told notes that a peer has announced everything that it had, or never says so.
// The caller holds s.mu.
func (s *Speaker) told(sess *session) {
	sess.told = true
	if s.collect == nil {
		return
	}
	for _, p := range s.peers {
		if !p.told {
			return
		}
	}
	if s.collect.Stop() {
		go s.collected()
	}
}

// collected ends the time of Config.Collect.
func (s *Speaker) collected() {
	s.mu.Lock()
	over := s.collect == nil || s.closed
	s.collect = nil
	waiting := 0
	for _, p := range s.peers {
		if !p.told {
			waiting++
		}
	}
	s.mu.Unlock()
	if over {
		return
	}
	s.log.Info("bgp: began again, peers go by what they are told now", "peers that said nothing", waiting)
	s.relay.Collected()
}
