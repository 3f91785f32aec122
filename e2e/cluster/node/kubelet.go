package node

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Gates that make the kubelet ask everything of a CRI runtime that 1.37 can ask.
var CRIGates = map[string]bool{
	"PodAndContainerStatsFromCRI": true,
	"CRIListStreaming":            true,
	"EventedPLEG":                 true,
	"PLEGOnDemandRelist":          true,
}

// KubeletOptions are what differs between runs.
type KubeletOptions struct {
	// Programs is the folder of the kubelet.
	Programs string
	// Standalone: without an API server; static pods only, and anybody may ask it anything.
	Standalone bool
	Gates      map[string]bool
}

// Kubelet is the node's.
type Kubelet struct {
	world   *World
	runtime *Runtime
	options KubeletOptions
	program *Program
}

const kubeletLimit = 3 * time.Minute

// StartKubelet starts the kubelet on the runtime and returns once it is healthy.
func (w *World) StartKubelet(runtime *Runtime, options KubeletOptions) (*Kubelet, error) {
	kubelet := &Kubelet{world: w, runtime: runtime, options: options}
	return kubelet, kubelet.Start()
}

// Start starts it again after Stop or Kill.
func (k *Kubelet) Start() error {
	if err := k.writeConfiguration(); err != nil {
		return err
	}
	arguments := []string{
		filepath.Join(k.options.Programs, "kubelet"), "--config=" + k.configFile(), "--root-dir=" + k.world.path("kubelet"),
		"--cert-dir=" + k.world.path("kubelet", "pki"), "--hostname-override=" + Name, "--node-ip=" + Address, "--v=2",
	}
	if !k.options.Standalone {
		arguments = append(arguments, "--kubeconfig="+k.world.Kubeconfig("kubelet"))
	}
	var err error
	if k.program, err = k.world.startCommand("kubelet", k.world.awayFromKernelSettings(arguments)); err != nil {
		return err
	}
	return k.program.waitUntil("healthy", kubeletLimit, func() error {
		return answersOK(http.DefaultClient, "http://127.0.0.1:10248/healthz")
	})
}

// Stop ends the kubelet; pods go on.
func (k *Kubelet) Stop() error { return k.program.Stop(30 * time.Second) }

// PID is the kubelet's.
func (k *Kubelet) PID() int { return k.program.PID() }

// LogTail is the end of its log.
func (k *Kubelet) LogTail() string { return k.program.LogTail() }

// StaticPods is the folder whose files it runs.
func (k *Kubelet) StaticPods() string { return k.world.path("static-pods") }

// Client asks a standalone kubelet, whose certificate is its own.
func (k *Kubelet) Client() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // on loopback, made a moment ago
	}}
}

func (k *Kubelet) configFile() string { return k.world.path("kubelet.conf") }

func (k *Kubelet) writeConfiguration() error {
	type object = map[string]any
	resolver := k.world.path("resolv.conf")
	if err := os.WriteFile(resolver, []byte("nameserver "+dnsService+"\n"), 0o644); err != nil {
		return err
	}
	configuration := object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"containerRuntimeEndpoint": k.runtime.Endpoint,
		"address":                  "0.0.0.0",
		"port":                     KubeletPort,
		"staticPodPath":            k.StaticPods(),
		"podLogsDir":               k.world.path("logs", "pods"),
		"volumePluginDir":          k.world.path("volume-plugins"),
		"failCgroupV1":             false,
		"cgroupDriver":             cgroupDriver(),
		"cgroupRoot":               k.world.kubeletGroup(),
		"enforceNodeAllocatable":   []string{"pods"},
		"podPidsLimit":             1000,
		"resolvConf":               resolver,
		"clusterDomain":            "cluster.local",
		"clusterDNS":               []string{dnsService},
		"fileCheckFrequency":       "1s",
		"syncFrequency":            "10s",
		"containerLogMaxSize":      "64Ki",
		"containerLogMaxFiles":     3,
		"serializeImagePulls":      false,
		"imageMinimumGCAge":        "24h",
		"failSwapOn":               false,
		// A development machine's disk may be nearly full without being in need.
		"evictionHard":                object{"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
		"featureGates":                k.options.Gates,
		"maxPods":                     250,
		"imageGCHighThresholdPercent": 100,
	}
	if k.options.Standalone {
		configuration["authentication"] = object{"anonymous": object{"enabled": true}, "webhook": object{"enabled": false}}
		configuration["authorization"] = object{"mode": "AlwaysAllow"}
	} else {
		configuration["authentication"] = object{
			"anonymous": object{"enabled": false}, "webhook": object{"enabled": true},
			"x509": object{"clientCAFile": k.world.certificate("ca")},
		}
		configuration["authorization"] = object{"mode": "Webhook"}
		configuration["tlsCertFile"] = k.world.certificate("kubelet")
		configuration["tlsPrivateKeyFile"] = k.world.key("kubelet")
	}
	text, err := json.MarshalIndent(configuration, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(k.configFile(), text, 0o600)
}

// What the kubelet writes for the whole machine (kernel_tunables in container_manager_linux.go).
var kernelSettings = []string{"vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"}

// awayFromKernelSettings gives a command a mount namespace in which those settings are files of the
// world's own. Not for the runtime: what covers a part of its /proc makes the kernel refuse a proc to
// pods with user namespaces.
func (w *World) awayFromKernelSettings(arguments []string) *exec.Cmd {
	script := "set -e; mount --make-private /proc\n"
	for _, setting := range kernelSettings {
		file := w.path("kernel-" + strings.ReplaceAll(setting, "/", "-"))
		script += fmt.Sprintf("cat /proc/sys/%s >%s; mount --bind %s /proc/sys/%s\n", setting, file, file, setting)
	}
	script += `exec "$0" "$@"`
	return exec.Command("unshare", append([]string{"--mount", "--propagation", "unchanged", "sh", "-c", script}, arguments...)...)
}
