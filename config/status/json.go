package status

import (
	"encoding/json"

	"github.com/ztos/ztos/engine/table"
)

// macText is the text of m, empty for none: table.MAC is a number to JSON.
func macText(m table.MAC) string {
	if m == 0 {
		return ""
	}
	return m.String()
}

// MarshalJSON writes the MAC as text.
func (p Port) MarshalJSON() ([]byte, error) {
	type plain Port
	return json.Marshal(struct {
		plain
		MAC string `json:"mac"`
	}{plain(p), macText(p.MAC)})
}

// MarshalJSON writes the MAC as text.
func (m MAC) MarshalJSON() ([]byte, error) {
	type plain MAC
	return json.Marshal(struct {
		plain
		MAC string `json:"mac"`
	}{plain(m), macText(m.MAC)})
}

// MarshalJSON writes the MAC as text.
func (m Move) MarshalJSON() ([]byte, error) {
	type plain Move
	return json.Marshal(struct {
		plain
		MAC string `json:"mac"`
	}{plain(m), macText(m.MAC)})
}

// MarshalJSON writes the MAC as text.
func (d Duplicate) MarshalJSON() ([]byte, error) {
	type plain Duplicate
	return json.Marshal(struct {
		plain
		MAC string `json:"mac"`
	}{plain(d), macText(d.MAC)})
}

// MarshalJSON writes the MAC as text.
func (n Neighbour) MarshalJSON() ([]byte, error) {
	type plain Neighbour
	return json.Marshal(struct {
		plain
		MAC string `json:"mac"`
	}{plain(n), macText(n.MAC)})
}
