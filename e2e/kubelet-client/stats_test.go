package kubeletclient

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestStatsAreWhatTheSummaryNeeds(t *testing.T) {
	// The kubelet's probe for support: any error but Unimplemented.
	if _, err := runtime.PodSandboxStats(context.Background(), ""); status.Code(err) == codes.Unimplemented {
		t.Errorf("PodSandboxStats without an id: %v", err)
	}
	onEveryHandler(t, func(t *testing.T, handler string) {
		ctx := context.Background()
		p := runPod(t, handler)
		id := p.start("main", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; "+sleeper)
		p.start("helper", sleeper)
		byPod := map[string]string{labelPodUID: p.uid()}

		waitFor(t, "CPU time", func() bool {
			stats := must[*v1.ContainerStats](t, "ContainerStats")(runtime.ContainerStats(ctx, id))
			return stats.GetCpu().GetUsageCoreNanoSeconds().GetValue() > 0
		})
		containers := must[[]*v1.ContainerStats](t, "ListContainerStats")(
			runtime.ListContainerStats(ctx, &v1.ContainerStatsFilter{LabelSelector: byPod}))
		equal(t, "containers", len(containers), 2)
		for _, stats := range containers {
			checkContainerStats(t, stats)
		}

		pods := must[[]*v1.PodSandboxStats](t, "ListPodSandboxStats")(
			runtime.ListPodSandboxStats(ctx, &v1.PodSandboxStatsFilter{LabelSelector: byPod}))
		equal(t, "pods", len(pods), 1)
		one := must[*v1.PodSandboxStats](t, "PodSandboxStats")(runtime.PodSandboxStats(ctx, p.id))
		for _, stats := range append(pods, one) {
			checkPodStats(t, stats)
		}
	})
}

func checkContainerStats(t *testing.T, stats *v1.ContainerStats) {
	t.Helper()
	if stats.GetAttributes().GetMetadata().GetName() == "" { // dereferenced by the kubelet
		t.Errorf("no metadata: %v", stats)
	}
	if stats.GetCpu().GetTimestamp() == 0 || stats.GetMemory().GetWorkingSetBytes().GetValue() == 0 {
		t.Errorf("no CPU or memory: %v", stats)
	}
	if stats.GetWritableLayer().GetFsId().GetMountpoint() == "" {
		t.Errorf("no writable layer: %v", stats)
	}
}

func checkPodStats(t *testing.T, stats *v1.PodSandboxStats) {
	t.Helper()
	linux := stats.GetLinux()
	if stats.GetAttributes().GetMetadata().GetUid() == "" {
		t.Errorf("no metadata: %v", stats)
	}
	if linux.GetCpu().GetUsageCoreNanoSeconds().GetValue() == 0 || linux.GetMemory().GetWorkingSetBytes().GetValue() == 0 {
		t.Errorf("no CPU or memory: %v", linux)
	}
	equal(t, "interface", linux.GetNetwork().GetDefaultInterface().GetName(), "eth0")
	equal(t, "containers in it", len(linux.GetContainers()), 2)
	if linux.GetProcess().GetProcessCount().GetValue() == 0 {
		t.Errorf("no processes: %v", linux)
	}
}
