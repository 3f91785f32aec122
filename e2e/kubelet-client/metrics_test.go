package kubeletclient

import (
	"context"
	"testing"

	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// With PodAndContainerStatsFromCRI the kubelet asks for the descriptors once, and then makes each
// sample a Prometheus metric: its name must be a descriptor's and its labels as many as that has keys.
// A sample that comes twice spoils the whole page.
func TestMetricsCanBeShownByTheKubelet(t *testing.T) {
	onEveryHandler(t, func(t *testing.T, handler string) {
		ctx := context.Background()
		keys := map[string]int{}
		for _, d := range must[[]*v1.MetricDescriptor](t, "ListMetricDescriptors")(runtime.ListMetricDescriptors(ctx)) {
			keys[d.GetName()] = len(d.GetLabelKeys())
		}
		p := runPod(t, handler)
		id := p.start("main", sleeper)
		seen, containers := map[string]bool{}, 0
		check := func(metrics []*v1.Metric) {
			for _, m := range metrics {
				equal(t, "labels of "+m.GetName(), len(m.GetLabelValues()), keys[m.GetName()])
				series := m.GetName()
				for _, label := range m.GetLabelValues() {
					series += "|" + label
				}
				if seen[series] {
					t.Errorf("%s comes twice", series)
				}
				seen[series] = true
			}
		}
		for _, pod := range must[[]*v1.PodSandboxMetrics](t, "ListPodSandboxMetrics")(runtime.ListPodSandboxMetrics(ctx)) {
			check(pod.GetMetrics())
			for _, container := range pod.GetContainerMetrics() {
				check(container.GetMetrics())
				if container.GetContainerId() == id {
					containers++
				}
			}
		}
		equal(t, "entries of the container", containers, 1)
	})
}
