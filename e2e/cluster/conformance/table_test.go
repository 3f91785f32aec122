package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
)

const report = `<testsuites><testsuite>
<testcase name="[BeforeSuite]" status="passed"></testcase>
<testcase name="[It] [sig-a] one [Conformance] [sig-a, Conformance]" status="passed"></testcase>
<testcase name="[It] [sig-a] two [Conformance] [sig-a, Conformance]" status="failed"><failure message="it&#xA;  broke"></failure></testcase>
<testcase name="[It] [sig-a] three [Conformance] [sig-a, Conformance]" status="interrupted"><error message="interrupted"></error></testcase>
<testcase name="[It] [sig-a] five [Conformance] [sig-a, Conformance]" status="timedout"><failure message="A suite timeout occurred"></failure></testcase>
<testcase name="[It] [sig-a] four [Conformance] [sig-a, Conformance]" status="skipped"><skipped message="skipped"></skipped></testcase>
</testsuite></testsuites>`

func TestAReportSaysWhatRanToItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.xml")
	if err := os.WriteFile(path, []byte(report), 0o600); err != nil {
		t.Fatal(err)
	}
	seen, err := readReport(path)
	want := table{"[sig-a] one [Conformance]": {result: passed}, "[sig-a] two [Conformance]": {failed, "it broke"}}
	if err != nil || !reflect.DeepEqual(seen, want) {
		t.Errorf("%v, %v", seen, err)
	}
}

// Ginkgo matches a spec's text, which has nothing around it.
func TestWhatIsKnownToFailHasNoTurn(t *testing.T) {
	known := table{"a one (x) [Conformance]": {result: passed}, "a two (x) [Conformance]": {result: failed}, "a three [Conformance]": {result: cannot}}
	turns := func(o options) (names []string) {
		focus, skip := chosen(known, o)
		for _, name := range []string{"a new [Conformance]", "a one (x) [Conformance]", "a two (x) [Conformance]", "a three [Conformance]"} {
			if regexp.MustCompile(focus).MatchString(name) && (skip == "" || !regexp.MustCompile(skip).MatchString(name)) {
				names = append(names, name[:len(name)-len(" [Conformance]")])
			}
		}
		return names
	}
	for _, c := range []struct {
		what string
		o    options
		want []string
	}{
		{"compare", options{focus: `\[Conformance\]`}, []string{"a new", "a one (x)"}},
		{"update", options{focus: `\[Conformance\]`, update: true}, []string{"a new", "a one (x)", "a two (x)", "a three"}},
		{"again", options{focus: `\[Conformance\]`, update: true, again: true}, []string{"a two (x)", "a three"}},
		{"known", options{focus: `\[Conformance\]`, known: true}, []string{"a one (x)"}},
		{"untried", options{focus: `\[Conformance\]`, update: true, untried: true}, []string{"a new"}},
	} {
		if got := turns(c.o); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, should be %q", c.what, got, c.want)
		}
	}
}

func TestAReasonOutlivesAnotherFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.tsv")
	known := table{"a": {cannot, "why"}, "b": {cannot, "why"}, "c": {passed, ""}}
	if err := writeTable(path, known, table{"a": {failed, "timed out"}, "b": {result: passed}}); err != nil {
		t.Fatal(err)
	}
	got, err := readTable(path)
	if want := (table{"a": {cannot, "why"}, "b": {result: passed}, "c": {result: passed}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}
