// Package cluster runs workloads in a cluster of one node with Kubernetes' own programs, on every
// handler by its RuntimeClass. See run.sh.
package cluster

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"catamaran/e2e/cluster/await"
	"catamaran/e2e/cluster/node"
)

var cluster *node.Cluster

// kubectl's own waiting is as patient as ours.
var kubectlPatience = "--timeout=" + await.Patience.String()

func TestMain(m *testing.M) {
	options := node.ClusterOptions{Kubernetes: os.Getenv("CATAMARAN_KUBERNETES"), Gates: node.CRIGates}
	options.Runtime.Programs, options.Runtime.Kind = os.Getenv("CATAMARAN_PROGRAMS"), os.Getenv("CATAMARAN_RUNTIME")
	if options.Kubernetes == "" || options.Runtime.Programs == "" {
		fmt.Fprintln(os.Stderr, "there are no programs to test: start this by run.sh")
		os.Exit(2)
	}
	if os.Getenv("CATAMARAN_GATES") == "default" {
		options.Gates = nil
	}
	os.Exit(node.Run("catamaran-cluster-test", func(world *node.World) int { return runTests(m, world, options) }))
}

func runTests(m *testing.M, world *node.World, options node.ClusterOptions) int {
	start := time.Now()
	var err error
	if cluster, err = world.StartCluster(options); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer cluster.Stop()
	if err = cluster.ApplyRuntimeClasses(os.Getenv("CATAMARAN_MANIFESTS")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("the node is ready %.1f s after the first program was started\n", time.Since(start).Seconds())
	code := m.Run()
	if code != 0 {
		fmt.Printf("the kubelet's last lines:\n%s\nthe runtime's last lines:\n%s\n", cluster.Kubelet.LogTail(), cluster.Runtime.LogTail())
	}
	return code
}

// space is a namespace of one test's own, whose pods run on one handler.
type space struct {
	t       *testing.T
	name    string
	handler string
}

var spaces atomic.Int32

func onEveryHandler(t *testing.T, test func(s *space)) {
	for _, handler := range []string{"ns", "vm"} {
		t.Run(handler, func(t *testing.T) { test(newSpace(t, handler)) })
	}
}

// newSpace makes the namespace; it is removed with the test, and what keeps it from going is a failure.
func newSpace(t *testing.T, handler string) *space {
	t.Helper()
	s := &space{t, fmt.Sprintf("test-%d", spaces.Add(1)), handler}
	s.kubectlAnywhere("create", "namespace", s.name)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.try("get", "events,pods", "-o", "wide"))
			t.Log(s.try("describe", "pods"))
		}
		s.kubectlAnywhere("delete", "namespace", s.name, "--wait", kubectlPatience)
	})
	// The service account comes a moment after its namespace, and no pod is admitted before.
	s.eventually("the namespace has its service account", func() error {
		_, err := cluster.Kubectl("get", "serviceaccount", "default", "--namespace", s.name)
		return err
	})
	return s
}

func (s *space) kubectlAnywhere(arguments ...string) string {
	s.t.Helper()
	output, err := cluster.Kubectl(arguments...)
	if err != nil {
		s.t.Fatal(err)
	}
	return output
}

// kubectl in the test's namespace; an error ends the test.
func (s *space) kubectl(arguments ...string) string {
	s.t.Helper()
	return s.kubectlAnywhere(append([]string{"--namespace", s.name}, arguments...)...)
}

func (s *space) try(arguments ...string) string {
	output, err := cluster.Kubectl(append([]string{"--namespace", s.name}, arguments...)...)
	if err != nil {
		return err.Error()
	}
	return output
}

// withInput is kubectl with bytes on its standard input; it returns both outputs and the exit code.
func (s *space) withInput(input string, arguments ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	command := cluster.KubectlCommand(append([]string{"--namespace", s.name}, arguments...)...)
	var out, errors bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &errors
	if err := command.Run(); err != nil && command.ProcessState == nil {
		s.t.Fatal(err)
	}
	return out.String(), errors.String(), command.ProcessState.ExitCode()
}

// apply makes the objects of this YAML, in which $HANDLER, $BUSYBOX and $AGNHOST stand for the runtime
// class and the images.
func (s *space) apply(manifest string) {
	s.t.Helper()
	manifest = strings.NewReplacer("$HANDLER", "catamaran-"+s.handler, "$BUSYBOX", node.BusyboxImage, "$AGNHOST", node.AgnhostImage,
		"$NAMESPACE", s.name).Replace(manifest)
	if _, stderr, code := s.withInput(manifest, "apply", "-f", "-"); code != 0 {
		s.t.Fatalf("kubectl apply: %s\n%s", stderr, manifest)
	}
}

// runPod applies a pod of this name and waits until it is ready.
func (s *space) runPod(name, manifest string) {
	s.t.Helper()
	s.apply(manifest)
	s.waitReady("pod/" + name)
}

func (s *space) waitReady(object string) {
	s.t.Helper()
	s.kubectl("wait", "--for=condition=Ready", kubectlPatience, object)
}

// field is a JSONPath of one object.
func (s *space) field(object, path string) string {
	s.t.Helper()
	return s.kubectl("get", object, "-o", "jsonpath={"+path+"}")
}

// sh runs a shell line in a pod's first or named container and returns its standard output.
func (s *space) sh(pod, line string, flags ...string) string {
	s.t.Helper()
	arguments := append(append([]string{"exec", pod}, flags...), "--", "sh", "-c", line)
	stdout, stderr, code := s.withInput("", arguments...)
	if code != 0 {
		s.t.Fatalf("%s: sh -c %q: exit code %d: %s%s", pod, line, code, stdout, stderr)
	}
	return stdout
}

func (s *space) eventually(what string, condition func() error) {
	s.t.Helper()
	await.Until(s.t, what, condition)
}

func (s *space) equal(what, got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %q, should be %q", what, got, want)
	}
}
