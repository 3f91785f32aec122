package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// What of /stats/summary the test looks at (k8s.io/kubelet/pkg/apis/stats/v1alpha1).
type summary struct{ Pods []podSummary }

type podSummary struct {
	PodRef     struct{ Name, Namespace string }
	CPU        figure
	Memory     figure
	Network    figure
	Process    figure   `json:"process_stats"`
	Volumes    []figure `json:"volume"`
	Ephemeral  figure   `json:"ephemeral-storage"`
	Containers []containerSummary
}

type containerSummary struct {
	Name                      string
	CPU, Memory, Rootfs, Logs figure
}

type figure map[string]any

// has says whether the figure is there and more than nothing.
func (f figure) has(name string) bool {
	value, isNumber := f[name].(float64)
	return isNumber && value > 0
}

// missing are the figures that an operator looks for and that the kubelet does not have.
func (p *podSummary) missing() []string {
	var all []string
	want := func(there bool, name string) {
		if !there {
			all = append(all, name)
		}
	}
	want(p.CPU.has("usageNanoCores"), "pod cpu")
	want(p.Memory.has("workingSetBytes"), "pod memory")
	want(p.Network.has("rxBytes"), "pod network")
	want(p.Process.has("process_count"), "pod processes")
	want(len(p.Volumes) > 0 && p.Volumes[0].has("usedBytes"), "volume")
	want(p.Ephemeral.has("usedBytes"), "pod ephemeral storage")
	want(len(p.Containers) == 1, "container")
	for _, container := range p.Containers {
		want(container.CPU.has("usageNanoCores"), "container cpu")
		want(container.Memory.has("workingSetBytes"), "container memory")
		want(container.Rootfs.has("usedBytes"), "container rootfs")
		want(container.Logs.has("usedBytes"), "container logs")
	}
	return all
}

const measuredPod = `
apiVersion: v1
kind: Pod
metadata: {name: measured}
spec:
  runtimeClassName: $HANDLER
  terminationGracePeriodSeconds: 1
  volumes: [{name: data, emptyDir: {}}]
  containers:
  - name: busy
    image: $BUSYBOX
    command: [sh, -c, 'echo log; echo data >/data/file; echo root >/file; mkdir /www; httpd -p 8080 -h /www; while :; do :; done']
    resources: {limits: {cpu: 300m, memory: 32Mi}}
    volumeMounts: [{name: data, mountPath: /data}]
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1, timeoutSeconds: 10}
`

// Of /metrics/cadvisor, what dashboards and alerts are made of: by container, and by pod.
var (
	metricsOfContainers = []string{
		"container_cpu_usage_seconds_total",
		"container_memory_working_set_bytes",
		"container_memory_rss",
		"container_fs_usage_bytes",
		"container_processes",
		"container_start_time_seconds",
		"container_oom_events_total",
		"container_spec_memory_limit_bytes",
	}
	metricsOfPods = []string{
		"container_cpu_usage_seconds_total",
		"container_memory_working_set_bytes",
		"container_network_receive_bytes_total",
	}
)

// With its default gates the kubelet looks at groups itself and knows only its own, the pods'. What it then
// lacks is written down in manifests/docs/migration.md.
func missingByGates() (inSummary, inCAdvisor []string) {
	if os.Getenv("CATAMARAN_GATES") != "default" {
		return nil, nil
	}
	return []string{"pod network", "pod processes"}, append(slices.Clone(metricsOfContainers), "container_network_receive_bytes_total")
}

// The figures of a pod, as autoscalers, dashboards and alerts get them from the kubelet.
func TestThePodsFigures(t *testing.T) {
	if cluster.Runtime.Kind != "catamaran" {
		t.Skip("this is about what Catamaran has the kubelet say")
	}
	inSummary, inCAdvisor := missingByGates()
	onEveryHandler(t, func(s *space) {
		s.runPod("measured", measuredPod)
		s.eventually("the summary has what it can have", func() error {
			return same(s.missingInSummary(), inSummary)
		})
		s.eventually("cAdvisor's metrics have what they can have", func() error {
			return same(s.missingInCAdvisor(), inCAdvisor)
		})
	})
}

func same(missing, expected []string) error {
	if !slices.Equal(missing, expected) {
		return fmt.Errorf("missing are %q, should be %q", missing, expected)
	}
	return nil
}

func (s *space) missingInSummary() []string {
	s.t.Helper()
	var all summary
	if err := json.Unmarshal([]byte(s.kubectlAnywhere("get", "--raw", "/api/v1/nodes/node0/proxy/stats/summary")), &all); err != nil {
		s.t.Fatal(err)
	}
	index := slices.IndexFunc(all.Pods, func(pod podSummary) bool { return pod.PodRef.Namespace == s.name })
	if index < 0 {
		return []string{"the pod"}
	}
	return all.Pods[index].missing()
}

func (s *space) missingInCAdvisor() []string {
	s.t.Helper()
	lines := strings.Split(s.kubectlAnywhere("get", "--raw", "/api/v1/nodes/node0/proxy/metrics/cadvisor"), "\n")
	var missing []string
	want := func(names []string, label string) {
		for _, name := range names {
			if !slices.ContainsFunc(lines, func(line string) bool {
				return strings.HasPrefix(line, name+"{") && strings.Contains(line, label) && strings.Contains(line, `namespace="`+s.name+`"`)
			}) {
				missing = append(missing, name)
			}
		}
	}
	want(metricsOfContainers, `container="busy"`)
	want(metricsOfPods, `pod="measured"`)
	return missing
}
