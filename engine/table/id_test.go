package table_test

import (
	"encoding/json"
	"testing"

	"github.com/ztos/ztos/engine/table"
)

func TestMACText(t *testing.T) {
	for m, want := range map[table.MAC]string{
		0:               `""`,
		1:               `"00:00:00:00:00:01"`,
		0x020000abcdef:  `"02:00:00:ab:cd:ef"`,
		table.Broadcast: `"ff:ff:ff:ff:ff:ff"`,
	} {
		b, err := json.Marshal(m)
		if err != nil || string(b) != want {
			t.Errorf("%v: got %s, %v, want %s", m, b, err, want)
		}
		var back table.MAC = 5
		if err := json.Unmarshal(b, &back); err != nil || back != m {
			t.Errorf("%s: got %v, %v, want %v", b, back, err, m)
		}
	}
	for _, s := range []string{"", "02:00:00:00:00", "02:00:00:00:00:01:02", "02:00:00:00:00:00:00:01", "zz"} {
		if m, err := table.ParseMAC(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, m)
		}
	}
}
