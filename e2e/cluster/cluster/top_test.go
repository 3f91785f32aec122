package cluster

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"catamaran/e2e/cluster/await"
)

const burnerPod = `
apiVersion: v1
kind: Pod
metadata: {name: burner}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  containers:
  - name: busy
    image: $BUSYBOX
    command: [sh, -c, 'kept=$(head -c 8000000 /dev/zero | tr "\000" x); while :; do :; done']
    resources: {limits: {cpu: 300m, memory: 64Mi}}
  - name: idle
    image: $BUSYBOX
    command: [sleep, "3600"]
`

// What `kubectl top` says comes by metrics-server from the kubelet, and to it from the runtime.
func TestKubectlTop(t *testing.T) {
	program := os.Getenv("CATAMARAN_METRICS_SERVER")
	if program == "" {
		t.Fatal("CATAMARAN_METRICS_SERVER names no program: start this by run.sh")
	}
	remove, err := cluster.StartMetricsServer(program)
	await.Must(t, err)
	t.Cleanup(func() { await.Must(t, remove()) })
	onEveryHandler(t, func(s *space) {
		s.runPod("burner", burnerPod)
		s.eventually("the busy container is seen to be busy", func() error {
			return s.usesAtLeast("busy", "100m", "8M")
		})
		if err := s.usesAtLeast("idle", "50m", "0"); err == nil {
			s.t.Errorf("the idle container is busy: %s", s.try("top", "pod", "burner", "--containers"))
		}
		s.t.Logf("\n%s%s", s.kubectl("top", "pod", "burner", "--containers"), s.kubectl("top", "pod", "burner"))
	})
	s := newSpace(t, "ns")
	s.eventually("the node has numbers", func() error {
		words := strings.Fields(s.try("top", "node", "node0", "--no-headers")) // NAME CPU CPU% MEMORY MEMORY%
		if len(words) != 5 {
			return fmt.Errorf("%v", words)
		}
		return atLeast(words[1], "10m", words[3], "64Mi")
	})
}

// usesAtLeast is an error unless `kubectl top` says that this container of burner uses so much.
func (s *space) usesAtLeast(container, cpu, memory string) error {
	s.t.Helper()
	output := s.try("top", "pod", "burner", "--containers", "--no-headers") // POD NAME CPU MEMORY
	for _, line := range strings.Split(output, "\n") {
		if words := strings.Fields(line); len(words) == 4 && words[1] == container {
			return atLeast(words[2], cpu, words[3], memory)
		}
	}
	return fmt.Errorf("%q", output)
}

func atLeast(cpu, leastCPU, memory, leastMemory string) error {
	for _, pair := range [][2]string{{cpu, leastCPU}, {memory, leastMemory}} {
		is, err := resource.ParseQuantity(pair[0])
		if err != nil {
			return fmt.Errorf("%q: %w", pair[0], err)
		}
		if is.Cmp(resource.MustParse(pair[1])) < 0 {
			return fmt.Errorf("%s is less than %s", pair[0], pair[1])
		}
	}
	return nil
}
