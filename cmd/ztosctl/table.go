package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ztos/ztos/config"
)

// table is rows of text in aligned columns. A header that ends with ">" has its
// column to the right, as numbers want it.
type table struct {
	right []bool
	rows  [][]string
	empty string // said in place of a table without rows
}

func newTable(empty string, header ...string) *table {
	t := &table{empty: empty}
	for i, h := range header {
		h, right := strings.CutSuffix(h, ">")
		header[i] = h
		t.right = append(t.right, right)
	}
	t.rows = [][]string{header}
	return t
}

// add adds a row; nil, "" and missing cells are shown as a hyphen.
func (t *table) add(cells ...any) {
	row := make([]string, len(t.right))
	for i := range row {
		row[i] = "-"
		if i < len(cells) && cells[i] != nil {
			if s := fmt.Sprint(cells[i]); s != "" {
				row[i] = s
			}
		}
	}
	t.rows = append(t.rows, row)
}

// String returns the table, each line ended.
func (t *table) String() string {
	if len(t.rows) == 1 {
		return t.empty + "\n"
	}
	width := make([]int, len(t.right))
	for _, row := range t.rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		line := ""
		for i, c := range row {
			if i > 0 {
				line += "  "
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if t.right[i] {
				line += pad + c
			} else {
				line += c + pad
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// line is a text of one line.
type line string

// String returns the line, ended.
func (l line) String() string { return string(l) + "\n" }

// ago returns a span for people: 250ms, 42s, 3m05s, 2h07m, 5d03h.
func ago(d config.Duration) string {
	v := d.D()
	switch {
	case v < time.Second:
		return v.Round(time.Millisecond).String()
	case v < time.Minute:
		return v.Round(time.Second).String()
	case v < time.Hour:
		return fmt.Sprintf("%dm%02ds", v/time.Minute, v%time.Minute/time.Second)
	case v < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", v/time.Hour, v%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", v/(24*time.Hour), v%(24*time.Hour)/time.Hour)
}

// yes returns "yes" or "no".
func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
