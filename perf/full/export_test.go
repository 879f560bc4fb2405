package full

// Add adds a figure of one more round to a report.
func Add(r *Report, mode string, k Case, f Figure, values ...float64) {
	for _, v := range values {
		r.result(mode, k).add(f, v)
	}
}

// Empty returns a report without figures.
func Empty() *Report {
	return &Report{
		Command: "make perf ROUNDS=3", Date: "2026-01-02", Rounds: 3, Seconds: 600, Complete: true,
		Settings: Settings{UnderlayMTU: 9000, TenantMTU: 1500, JumboMTU: 8858},
		Modes:    map[string]map[Case]Result{}, Idle: map[string]float64{},
	}
}

// Derive computes ratios and differences.
func (r *Report) Derive() { r.derive() }

// Format is format.
var Format = format

// The markers of a document.
const (
	DocBegin = docBegin
	DocEnd   = docEnd
)

// TargetRows returns the table of targets.
func TargetRows(r *Report) [][]string { return r.targetRows() }
