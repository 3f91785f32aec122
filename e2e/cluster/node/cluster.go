package node

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// ClusterOptions are what differs between clusters.
type ClusterOptions struct {
	Runtime    RuntimeOptions
	Kubernetes string // the folder of Kubernetes' programs
	Gates      map[string]bool
}

// AddFlags makes them flags of the program. Not all have a default: complete says whether none is missing.
func (o *ClusterOptions) AddFlags() (complete func() bool) {
	o.Gates = CRIGates
	flag.StringVar(&o.Runtime.Programs, "programs", "", "the folder of catamaran and catamaran-shim")
	flag.StringVar(&o.Runtime.Kind, "runtime", "catamaran", "catamaran, or containerd for comparison")
	flag.StringVar(&o.Runtime.DefaultHandler, "default-handler", "ns", "of pods without a RuntimeClass")
	flag.StringVar(&o.Kubernetes, "kubernetes", "", "the folder of Kubernetes' programs")
	flag.Func("gates", "cri (the default): everything the kubelet can ask of the CRI; default: Kubernetes' own choice", func(name string) error {
		gates, known := map[string]map[string]bool{"cri": CRIGates, "default": nil}[name]
		if !known {
			return errors.New("must be cri or default")
		}
		o.Gates = gates
		return nil
	})
	return func() bool { return o.Runtime.Programs != "" && o.Kubernetes != "" }
}

// Cluster is one node with its control plane.
type Cluster struct {
	World   *World
	Runtime *Runtime
	Kubelet *Kubelet
	Plane   *ControlPlane

	registry *imageRegistry
	options  ClusterOptions
}

// StartCluster starts everything and returns once the node is ready and names are resolved; what was
// started is stopped again where it fails.
func (w *World) StartCluster(options ClusterOptions) (*Cluster, error) {
	cluster := &Cluster{World: w, options: options}
	if err := cluster.startAll(); err != nil {
		cluster.Stop()
		return nil, err
	}
	return cluster, nil
}

func (c *Cluster) startAll() error {
	var err error
	if c.Runtime, err = c.World.StartRuntime(c.options.Runtime); err != nil {
		return err
	}
	if err = c.World.LoadTestImages(c.Runtime, c.options.Kubernetes); err != nil {
		return err
	}
	if c.registry, err = c.World.startRegistry(c.World.imageLayout()); err != nil {
		return err
	}
	if c.Plane, err = c.World.StartControlPlane(c.options.Kubernetes); err != nil {
		return err
	}
	if c.Kubelet, err = c.World.StartKubelet(c.Runtime, KubeletOptions{
		Programs: c.options.Kubernetes, Gates: c.options.Gates}); err != nil {
		return err
	}
	if err = c.Kubelet.program.waitUntil("ready as a node", kubeletLimit, func() error {
		_, err := c.Kubectl("wait", "--for=condition=Ready", "--timeout=10s", "node/"+Name)
		return err
	}); err != nil {
		return err
	}
	return c.startDNS()
}

// Kubectl runs kubectl as the cluster's administrator and returns what it printed.
func (c *Cluster) Kubectl(arguments ...string) (string, error) {
	command := c.KubectlCommand(arguments...)
	output, err := command.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %v: %w: %s", arguments, err, output)
	}
	return string(output), err
}

// KubectlCommand is the command that Kubectl runs, for callers with streams of their own.
func (c *Cluster) KubectlCommand(arguments ...string) *exec.Cmd {
	command := exec.Command(c.options.Kubernetes+"/kubectl", arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.World.Kubeconfig("admin"))
	return command
}

// ApplyRuntimeClasses gives the cluster the RuntimeClasses of the folder manifests, and the node the labels
// that they look for.
func (c *Cluster) ApplyRuntimeClasses(manifests string) error {
	if _, err := c.Kubectl("label", "node", Name, "catamaran/ns=true", "catamaran/vm=true"); err != nil {
		return err
	}
	_, err := c.Kubectl("apply", "-f", filepath.Join(manifests, "runtimeclasses.yaml"))
	return err
}

// Stop ends every program; pods that are left die with the world.
func (c *Cluster) Stop() {
	if c.Kubelet != nil && c.Kubelet.program != nil {
		_ = c.Kubelet.Stop()
	}
	if c.Plane != nil {
		c.Plane.Stop()
	}
	if c.Runtime != nil && c.Runtime.program != nil {
		_ = c.Runtime.program.Stop(30 * time.Second)
	}
	if c.registry != nil {
		c.registry.Stop()
	}
}
