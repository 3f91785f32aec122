package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"sort"
	"strings"
)

// What is known or seen of a spec.
const (
	passed = "passed"
	failed = "failed"
	cannot = "cannot" // run here: the table says why
)

type row struct {
	result string
	reason string
}

// table is by a spec's full name.
type table map[string]row

// readTable reads RESULT, SPEC and REASON, a line each, with tabs between. There may be no file yet.
func readTable(path string) (table, error) {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return table{}, nil
	}
	if err != nil {
		return nil, err
	}
	rows := table{}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		words := strings.Split(line, "\t")
		if len(words) < 2 || len(words) > 3 {
			return nil, fmt.Errorf("%s:%d: must be RESULT, SPEC and perhaps REASON, with tabs between", path, i+1)
		}
		rows[words[1]] = row{words[0], strings.Join(words[2:], "")}
	}
	return rows, nil
}

// writeTable puts what was seen in place of what was known; the words of a reason stay, and rows of specs
// that were not part of this run.
func writeTable(path string, known, seen table) error {
	all := table{}
	for name, row := range known {
		all[name] = row
	}
	for name, now := range seen {
		if before, is := known[name]; is && before.result == cannot && now.result == failed {
			now = before
		}
		all[name] = now
	}
	var names []string
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	var text strings.Builder
	counts := map[string]int{}
	for _, name := range names {
		row := all[name]
		counts[row.result]++
		fmt.Fprintln(&text, strings.TrimRight(strings.Join([]string{row.result, name, row.reason}, "\t"), "\t"))
	}
	fmt.Printf("conformance: %d specs: %v\n", len(names), counts)
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

// compare says what passed, and what should have and did not.
func compare(expected, seen table) bool {
	counts, wrong := map[string]int{}, 0
	for name, now := range seen {
		counts[now.result]++
		if now.result != passed {
			fmt.Printf("FAILED: %s: %s\n", name, now.reason)
			wrong++
		}
	}
	skipped := 0
	for _, row := range expected {
		if row.result != passed {
			skipped++
		}
	}
	fmt.Printf("conformance: %d passed, %d failed; %d of the table cannot run here\n", counts[passed], wrong, skipped)
	return wrong == 0 && counts[passed] > 0
}

type junit struct {
	Suites []struct {
		Cases []struct {
			Name    string `xml:"name,attr"`
			Status  string `xml:"status,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
			Error *struct {
				Message string `xml:"message,attr"`
			} `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// What ginkgo says of a spec that was cut by -limit, which says nothing of the spec.
const runEnded = "A suite timeout occurred"

// readReport takes from JUnit's report what was run to its end.
func readReport(path string) (table, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var report junit
	if err := xml.Unmarshal(text, &report); err != nil {
		return nil, err
	}
	seen := table{}
	for _, suite := range report.Suites {
		for _, spec := range suite.Cases {
			name, isSpec := specName(spec.Name)
			switch {
			case !isSpec || spec.Status == "interrupted":
			case spec.Failure != nil && spec.Failure.Message == runEnded:
			case spec.Failure != nil:
				seen[name] = row{failed, oneLine(spec.Failure.Message)}
			case spec.Error != nil:
				seen[name] = row{failed, oneLine(spec.Error.Message)}
			case spec.Status == "passed":
				seen[name] = row{result: passed}
			}
		}
	}
	return seen, nil
}

// specName is what a report calls a spec without what it puts around the text: the kind of node in front and
// the labels behind.
func specName(reported string) (name string, isSpec bool) {
	name, isSpec = strings.CutPrefix(reported, "[It] ")
	if labels := strings.LastIndex(name, " ["); labels > 0 {
		name = name[:labels]
	}
	return name, isSpec
}

func oneLine(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = text[:most]
	}
	return text
}
