// Command conformance runs Kubernetes' own suite in a cluster of its own, with pods on one handler by
// default, and holds what it says against the table of what this kind of machine is known to pass.
// See README.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"catamaran/e2e/cluster/node"
)

type options struct {
	cluster node.ClusterOptions
	class   string
	classes string
	table   string
	focus   string
	skip    string
	update  bool
	again   bool
	untried bool
	known   bool
	procs   int
	limit   time.Duration
	report  string
}

func main() {
	var o options
	complete := o.cluster.AddFlags()
	flag.StringVar(&o.class, "class", "", "the RuntimeClass of pods that name none")
	flag.StringVar(&o.classes, "manifests", "", "with -class: the folder with runtimeclasses.yaml")
	flag.StringVar(&o.table, "table", "", "the table of specs")
	flag.StringVar(&o.focus, "focus", `\[Conformance\]`, "which specs: a regular expression")
	flag.StringVar(&o.skip, "skip", "", "which of them not, for this run: a regular expression")
	flag.BoolVar(&o.update, "update", false, "write what was seen into the table; reasons that are there stay")
	flag.BoolVar(&o.again, "again", false, "with -update: only those that the table has and that did not pass")
	flag.BoolVar(&o.untried, "untried", false, "with -update: only those that the table has not")
	flag.BoolVar(&o.known, "known", false, "only those that the table says pass")
	flag.DurationVar(&o.limit, "limit", 4*time.Hour, "when to end the run; specs that had no turn keep their rows")
	flag.IntVar(&o.procs, "procs", 3, "specs at a time, of those that are not [Serial]")
	flag.StringVar(&o.report, "report", "", "also keep JUnit's report in this file")
	flag.Parse()
	if o.table == "" || !complete() || ((o.again || o.untried) && !o.update) || (o.again && o.untried) || (o.known && o.update) {
		flag.Usage()
		os.Exit(2)
	}
	os.Exit(node.Run("catamaran-conformance", func(world *node.World) int {
		ok, err := run(world, o)
		if err != nil {
			fmt.Fprintln(os.Stderr, "conformance:", err)
		}
		if err != nil || !ok {
			return 1
		}
		return 0
	}))
}

func run(world *node.World, o options) (ok bool, err error) {
	expected, err := readTable(o.table)
	if err != nil {
		return false, err
	}
	focus, skip := chosen(expected, o)
	if focus == "" && o.known {
		return false, fmt.Errorf("%s: no spec in it passes", o.table)
	}
	if focus == "" {
		return true, nil // all of the table passed
	}
	cluster, err := world.StartCluster(o.cluster)
	if err != nil {
		return false, err
	}
	defer cluster.Stop()
	if o.class != "" {
		if err := giveClass(cluster, o.class, o.classes); err != nil {
			return false, err
		}
	}
	report := o.report
	if report == "" {
		report = filepath.Join(world.Folder, "report.xml")
	}
	// That specs failed is in the report; that there is no report is an error.
	_ = os.Remove(report)
	ended := runSuite(world, o, focus, skip, report)
	seen, err := readReport(report)
	if err != nil {
		return false, fmt.Errorf("the suite (%v) left no report: %w", ended, err)
	}
	if o.update {
		return true, writeTable(o.table, expected, seen)
	}
	return compare(expected, seen), nil
}

// chosen are the patterns of which specs have a turn, beside what the command line says. A run that compares
// skips those that are known not to pass, so that none waits for what never comes; -again tries only them,
// -untried only what has no row, -known only those that pass.
func chosen(expected table, o options) (focus, skip string) {
	namesOf := func(wanted func(result string) bool) string {
		var names []string
		for name, row := range expected {
			if wanted(row.result) {
				names = append(names, regexp.QuoteMeta(name)+"$")
			}
		}
		return strings.Join(names, "|")
	}
	hasPassed := func(result string) bool { return result == passed }
	hasNot := func(result string) bool { return result != passed }
	switch {
	case o.again:
		return namesOf(hasNot), ""
	case o.known:
		return namesOf(hasPassed), ""
	case o.untried:
		return o.focus, namesOf(func(string) bool { return true })
	case o.update:
		return o.focus, ""
	default:
		return o.focus, namesOf(hasNot)
	}
}

func runSuite(world *node.World, o options, focus, skip, report string) error {
	arguments := []string{
		fmt.Sprintf("--procs=%d", o.procs), "--focus=" + focus, "--junit-report=" + filepath.Base(report),
		"--output-dir=" + filepath.Dir(report), "--no-color", "--timeout=" + o.limit.String(), "--keep-going", "--silence-skips",
	}
	for _, pattern := range []string{skip, o.skip} {
		if pattern != "" {
			arguments = append(arguments, "--skip="+pattern)
		}
	}
	arguments = append(arguments, filepath.Join(o.cluster.Kubernetes, "e2e.test"), "--",
		"--provider=skeleton", "--kubeconfig="+world.Kubeconfig("admin"), "--num-nodes=1",
		"--kubectl-path="+filepath.Join(o.cluster.Kubernetes, "kubectl"), "--delete-namespace=true",
		"--disable-log-dump", "--dns-domain=cluster.local")
	command := exec.Command(filepath.Join(o.cluster.Kubernetes, "ginkgo"), arguments...)
	command.Env = append(os.Environ(), "PATH="+o.cluster.Kubernetes+":"+os.Getenv("PATH"), "KUBECONFIG="+world.Kubeconfig("admin"))
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return command.Run()
}
