// Package kubelet runs the real kubelet without an API server on a Catamaran of its own, by static pods,
// on every handler. See run.sh.
package kubelet

import (
	"fmt"
	"os"
	"testing"

	"catamaran/e2e/cluster/await"
	"catamaran/e2e/cluster/node"
)

// Folders of programs, by run.sh.
var (
	runtimePrograms    = os.Getenv("CATAMARAN_PROGRAMS")
	kubernetesPrograms = os.Getenv("CATAMARAN_KUBERNETES")
	runtimeKind        = os.Getenv("CATAMARAN_RUNTIME") // "containerd" is the control run
)

var world *node.World

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
	await.Must(t, err)
	t.Cleanup(func() { await.Must(t, n.runtime.Stop()) })
	await.Must(t, world.LoadTestImages(n.runtime, kubernetesPrograms))
	n.kubelet, err = world.StartKubelet(n.runtime, node.KubeletOptions{
		Programs: kubernetesPrograms, Standalone: true, Gates: node.CRIGates})
	await.Must(t, err)
	t.Cleanup(func() {
		await.Must(t, n.kubelet.Stop())
		if t.Failed() {
			t.Logf("the kubelet's last lines:\n%s", n.kubelet.LogTail())
			t.Logf("the runtime's last lines:\n%s", n.runtime.LogTail())
		}
	})
	return n
}
