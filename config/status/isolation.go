package status

import "github.com/ztos/ztos/config"

// Isolation is what a look at all loaded tables says of whether paths lead from
// one tenant to another.
type Isolation struct {
	Generation uint64          `json:"generation"` // of the configuration that it was held against
	Tenants    int             `json:"tenants"`
	Steps      uint64          `json:"steps"`     // entries of tables that were looked at
	Nowhere    uint64          `json:"nowhere"`   // of them those whose end is not loaded
	Elapsed    config.Duration `json:"elapsed"`   // that took
	Breaches   []Breach        `json:"breaches"`  // none: no path leads from one tenant to another
	More       uint64          `json:"more"`      // breaches that are not listed
	Permitted  []Permit        `json:"permitted"` // what leads from one tenant to another by a contract
	Further    uint64          `json:"further"`   // permitted entries that are not listed
}

// Permit is an entry of a table that leads from one tenant to another, as a contract
// says.
type Permit struct {
	Contract string `json:"contract"`
	From     string `json:"from"` // tenant
	To       string `json:"to"`
	Step     string `json:"step"` // the entry, in words
}

// Breach is an entry of a table that leads from one tenant to another.
type Breach struct {
	From string `json:"from"` // tenant
	To   string `json:"to"`
	Step string `json:"step"` // the entry, in words
}
