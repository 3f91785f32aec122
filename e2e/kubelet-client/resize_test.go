package kubeletclient

import (
	"context"
	"testing"

	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// In-place resize: the kubelet holds it for done when ContainerStatus says so.
func TestAResizeShowsInTheStatus(t *testing.T) {
	onEveryHandler(t, func(t *testing.T, handler string) {
		p := runPod(t, handler)
		config := p.containerConfig("main", sleeper)
		config.Linux.Resources = &v1.LinuxContainerResources{CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 512,
			MemoryLimitInBytes: 64 << 20, MemorySwapLimitInBytes: 64 << 20, OomScoreAdj: 900}
		id := p.create(config)
		succeed(t, "StartContainer", runtime.StartContainer(context.Background(), id))
		checkResources(t, p, id, config.Linux.Resources)

		// Growing memory moves both of its limits; shrinking CPU only itself.
		for _, wanted := range []*v1.LinuxContainerResources{
			{CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 512, MemoryLimitInBytes: 96 << 20, MemorySwapLimitInBytes: 96 << 20},
			{CpuPeriod: 100000, CpuQuota: 20000, CpuShares: 204, MemoryLimitInBytes: 96 << 20, MemorySwapLimitInBytes: 96 << 20},
			{CpuPeriod: 100000, CpuQuota: 20000, CpuShares: 204, MemoryLimitInBytes: 48 << 20, MemorySwapLimitInBytes: 48 << 20},
		} {
			succeed(t, "UpdateContainerResources", runtime.UpdateContainerResources(context.Background(), id,
				&v1.ContainerResources{Linux: wanted}))
			checkResources(t, p, id, wanted)
		}
	})
}

func checkResources(t *testing.T, p *pod, id string, wanted *v1.LinuxContainerResources) {
	t.Helper()
	got := p.container(id).GetResources().GetLinux()
	equal(t, "cpu_quota", got.GetCpuQuota(), wanted.CpuQuota)
	equal(t, "cpu_shares", got.GetCpuShares(), wanted.CpuShares)
	equal(t, "memory limit", got.GetMemoryLimitInBytes(), wanted.MemoryLimitInBytes)
	if available := must[*v1.ContainerStats](t, "ContainerStats")(runtime.ContainerStats(context.Background(), id)).
		GetMemory().GetAvailableBytes().GetValue(); available == 0 || available > uint64(wanted.MemoryLimitInBytes) {
		t.Errorf("available memory %d with a limit of %d", available, wanted.MemoryLimitInBytes)
	}
}
