package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	internalapi "k8s.io/cri-api/pkg/apis"
	cri "k8s.io/cri-client/pkg"
)

const servingLimit = 2 * time.Minute

// Runtime is the container runtime behind the kubelet.
type Runtime struct {
	Kind     string // "catamaran" or "containerd"
	Endpoint string // unix:///…
	world    *World
	options  RuntimeOptions
	program  *Program
}

// RuntimeOptions are what differs between runs.
type RuntimeOptions struct {
	// Kind: "" is catamaran; "containerd" (Debian's, with runc) is the control run.
	Kind string
	// Programs is the folder of catamaran and catamaran-shim.
	Programs string
	// DefaultHandler is for pods without a RuntimeClass.
	DefaultHandler string
}

// StartRuntime starts the runtime and returns once it serves.
func (w *World) StartRuntime(options RuntimeOptions) (*Runtime, error) {
	runtime := &Runtime{Kind: options.Kind, world: w, options: options}
	if runtime.Kind == "" {
		runtime.Kind = "catamaran"
	}
	runtime.Endpoint = "unix://" + w.path("run", runtime.Kind+".sock")
	return runtime, runtime.Start()
}

// Start starts it again after Stop or Kill: pods have gone on.
func (r *Runtime) Start() error {
	file, text, command := r.catamaranCommand()
	if r.Kind == "containerd" {
		var err error
		if file, text, command, err = r.containerdCommand(); err != nil {
			return err
		}
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	socket := strings.TrimPrefix(r.Endpoint, "unix://")
	_ = os.Remove(socket)
	var err error
	if r.program, err = r.world.start(r.Kind, command...); err != nil {
		return err
	}
	return r.program.waitUntil("serving", servingLimit, func() error {
		return r.ask(func(ctx context.Context, service internalapi.RuntimeService) error {
			_, err := service.Status(ctx, false)
			return err
		})
	})
}

// Stop ends the daemon as an upgrade does; pods go on.
func (r *Runtime) Stop() error { return r.program.Stop(30 * time.Second) }

// Kill ends the daemon by SIGKILL.
func (r *Runtime) Kill() { r.program.Kill() }

// UsePrograms makes the next Start take another build's programs.
func (r *Runtime) UsePrograms(folder string) { r.options.Programs = folder }

// PID is the daemon's.
func (r *Runtime) PID() int { return r.program.PID() }

// LogTail is the end of the daemon's log.
func (r *Runtime) LogTail() string { return r.program.LogTail() }

// HasNoPods is an error where the runtime knows of a pod.
func (r *Runtime) HasNoPods() error {
	return r.ask(func(ctx context.Context, service internalapi.RuntimeService) error {
		pods, err := service.ListPodSandbox(ctx, nil)
		if err == nil && len(pods) > 0 {
			err = fmt.Errorf("%d pods, the first: %v", len(pods), pods[0])
		}
		return err
	})
}

// ask makes a call as the kubelet would, on a connection of its own.
func (r *Runtime) ask(call func(context.Context, internalapi.RuntimeService) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	service, err := cri.NewRemoteRuntimeServiceBuilder().WithEndpoint(r.Endpoint).WithConnectionTimeout(time.Minute).Build(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = service.Close(ctx) }()
	return call(ctx, service)
}

func (r *Runtime) catamaranCommand() (file, text string, command []string) {
	handler := r.options.DefaultHandler
	if handler == "" {
		handler = "ns"
	}
	guest := filepath.Join(filepath.Dir(r.options.Programs), "guest")
	text = fmt.Sprintf(`listen: %s
root: %s
run: %s
templates: %s/templates
cgroup_driver: %s
cgroup_root: %s
default_handler: %s
network: builtin
builtin_network: {cidr_v4: %s, cidr_v6: "%s"}
allow_emulation: true
nri: {enabled: false}
images: {hosts_dir: %s}
handlers:
  - {name: ns, backend: ns}
  - {name: vm, backend: vm}
`, r.Endpoint, r.world.path("root"), r.world.path("run"), guest, cgroupDriver(), r.world.runtimeGroup(), handler,
		podsV4, podsV6, r.world.path("hosts.d"))
	if other := filepath.Join(guest, "6.12"); exists(filepath.Join(other, "vmlinuz")) {
		text += fmt.Sprintf("  - {name: vm-6-12, backend: vm, machine: {kernel: %s/vmlinuz, initramfs: %s/initramfs.img}}\n", other, other)
	}
	file = r.configFile()
	return file, text, []string{filepath.Join(r.options.Programs, "catamaran"), "serve", "--config", file}
}

func (r *Runtime) configFile() string { return r.world.path(r.Kind + ".conf") }

// Routed pod addresses as Catamaran's own network has them, by the plugin nearest to it.
const containerdNetwork = `{"cniVersion": "1.0.0", "name": "cluster", "plugins": [
  {"type": "ptp", "ipMasq": true, "ipam": {"type": "host-local", "dataDir": "%s",
    "ranges": [[{"subnet": "%s"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
`

func (r *Runtime) containerdCommand() (file, text string, command []string, err error) {
	program, err := exec.LookPath("containerd")
	if err != nil {
		return "", "", nil, fmt.Errorf("the control run needs Debian's containerd and runc: apt-get install containerd runc: %w", err)
	}
	cni := r.world.path("cni")
	if err := os.MkdirAll(cni, 0o755); err != nil {
		return "", "", nil, err
	}
	network := fmt.Sprintf(containerdNetwork, r.world.path("cni-addresses"), podsV4)
	if err := os.WriteFile(filepath.Join(cni, "10-cluster.conflist"), []byte(network), 0o644); err != nil {
		return "", "", nil, err
	}
	const cri = `plugins."io.containerd.grpc.v1.cri"`
	text = fmt.Sprintf(`version = 2
root = "%[1]s"
state = "%[2]s"
[grpc]
  address = "%[3]s"
[%[4]s]
  sandbox_image = "%[5]s"
  restrict_oom_score_adj = true
[%[4]s.registry]
  config_path = "%[7]s"
[%[4]s.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "%[6]s"
[%[4]s.containerd]
  default_runtime_name = "ns"
`, r.world.path("root", "containerd"), r.world.path("run", "containerd"), strings.TrimPrefix(r.Endpoint, "unix://"),
		cri, PauseImage, cni, r.world.path("hosts.d"))
	for _, handler := range []string{"ns", "vm"} { // both by runc: what differs is Catamaran alone
		text += fmt.Sprintf("[%s.containerd.runtimes.%s]\n  runtime_type = \"io.containerd.runc.v2\"\n", cri, handler)
	}
	file = r.configFile()
	return file, text, []string{program, "--config", file}, nil
}

// Load brings an OCI archive's images into the runtime, under the names in it.
func (r *Runtime) Load(archive string) error {
	command := exec.Command(filepath.Join(r.options.Programs, "catamaran"), "image", "load", archive, "--config", r.configFile())
	if r.Kind == "containerd" {
		command = exec.Command("ctr", "--address", strings.TrimPrefix(r.Endpoint, "unix://"), "--namespace", "k8s.io",
			"images", "import", archive)
	}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("load %s into %s: %w: %s", archive, r.Kind, err, output)
	}
	return nil
}

// Command runs one of the runtime's own commands on it (catamaran pods, top, why…).
func (r *Runtime) Command(arguments ...string) (string, error) {
	arguments = append(arguments, "--config", r.configFile())
	output, err := exec.Command(filepath.Join(r.options.Programs, "catamaran"), arguments...).CombinedOutput()
	return string(output), err
}
