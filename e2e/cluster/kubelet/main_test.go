// Package kubelet runs the real kubelet without an API server on a Catamaran of its own, by static pods,
// on every handler. See run.sh.
package kubelet

import (
	"fmt"
	"os"
	"testing"
	"time"

	"catamaran/e2e/cluster/node"
)

// Folders of programs, by run.sh.
var (
	runtimePrograms    = os.Getenv("CATAMARAN_PROGRAMS")
	kubernetesPrograms = os.Getenv("CATAMARAN_KUBERNETES")
	runtimeKind        = os.Getenv("CATAMARAN_RUNTIME") // "containerd" is the control run
)

var world *node.World

// How long something that must happen is waited for; a busy machine is no failure.
const patience = 3 * time.Minute

func TestMain(m *testing.M) {
	if runtimePrograms == "" || kubernetesPrograms == "" {
		fmt.Fprintln(os.Stderr, "there are no programs to test: start this by run.sh")
		os.Exit(2)
	}
	os.Exit(node.Run("catamaran-kubelet", func(w *node.World) int {
		world = w
		return m.Run()
	}))
}

// A static pod has no RuntimeClass, which the API server would have to know: the handler is the
// runtime's default.
func onEveryHandler(t *testing.T, test func(t *testing.T, n *staticNode)) {
	for _, handler := range []string{"ns", "vm"} {
		t.Run(handler, func(t *testing.T) { test(t, startNode(t, handler)) })
	}
}

// staticNode is a runtime with a kubelet on it.
type staticNode struct {
	handler string
	runtime *node.Runtime
	kubelet *node.Kubelet
}

func startNode(t *testing.T, handler string) *staticNode {
	t.Helper()
	n := &staticNode{handler: handler}
	var err error
	n.runtime, err = world.StartRuntime(node.RuntimeOptions{Kind: runtimeKind, Programs: runtimePrograms, DefaultHandler: handler})
	require(t, err)
	t.Cleanup(func() { require(t, n.runtime.Stop()) })
	require(t, world.LoadTestImages(n.runtime, kubernetesPrograms))
	n.kubelet, err = world.StartKubelet(n.runtime, node.KubeletOptions{
		Programs: kubernetesPrograms, Standalone: true, Gates: node.CRIGates})
	require(t, err)
	t.Cleanup(func() {
		require(t, n.kubelet.Stop())
		if t.Failed() {
			t.Logf("the kubelet's last lines:\n%s", n.kubelet.LogTail())
			t.Logf("the runtime's last lines:\n%s", n.runtime.LogTail())
		}
	})
	return n
}

func require(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor fails the test unless the condition holds within the patience; it says what it last said.
func waitFor(t *testing.T, what string, condition func() error) {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still waiting after %s: %s: %v", patience, what, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
