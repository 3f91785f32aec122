// Command up starts a cluster of one node in a world of its own and keeps it until SIGTERM. It writes
// how to reach it to the file -state: shell variables PID, KUBECONFIG, LOGS, ENDPOINT. See `./dev cluster`.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"catamaran/e2e/cluster/node"
)

func main() {
	var options node.ClusterOptions
	state := flag.String("state", "", "the file to write, once the node is ready")
	gates := flag.String("gates", "cri", "cri: everything the kubelet can ask of the CRI; default: Kubernetes' own choice")
	flag.StringVar(&options.Runtime.Programs, "programs", "", "the folder of catamaran and catamaran-shim")
	flag.StringVar(&options.Runtime.Kind, "runtime", "catamaran", "catamaran, or containerd for comparison")
	flag.StringVar(&options.Runtime.DefaultHandler, "default-handler", "ns", "of pods without a RuntimeClass")
	flag.StringVar(&options.Kubernetes, "kubernetes", "", "the folder of Kubernetes' programs")
	flag.Parse()
	switch *gates {
	case "cri":
		options.Gates = node.CRIGates
	case "default":
	default:
		fmt.Fprintf(os.Stderr, "up: -gates %q: must be cri or default\n", *gates)
		os.Exit(2)
	}
	if *state == "" || options.Runtime.Programs == "" || options.Kubernetes == "" {
		flag.Usage()
		os.Exit(2)
	}
	os.Exit(node.Run("catamaran-cluster", func(world *node.World) int {
		if err := serve(world, options, *state); err != nil {
			fmt.Fprintln(os.Stderr, "up:", err)
			return 1
		}
		return 0
	}))
}

func serve(world *node.World, options node.ClusterOptions, state string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	start := time.Now()
	cluster, err := world.StartCluster(options)
	if err != nil {
		return err
	}
	defer cluster.Stop()
	if err := cluster.ApplyRuntimeClasses(); err != nil {
		return err
	}
	text := fmt.Sprintf("PID=%s\nKUBECONFIG=%s\nLOGS=%s\nENDPOINT=%s\nSECONDS_TO_READY=%.1f\n",
		node.OutsidePID(), world.Kubeconfig("admin"), world.Logs(), cluster.Runtime.Endpoint, time.Since(start).Seconds())
	if err := os.WriteFile(state+".new", []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Rename(state+".new", state); err != nil {
		return err
	}
	defer os.Remove(state)
	<-signals
	return nil
}
