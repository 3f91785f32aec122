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
	manifests := flag.String("manifests", "", "the folder with runtimeclasses.yaml")
	complete := options.AddFlags()
	flag.Parse()
	if *state == "" || *manifests == "" || !complete() {
		flag.Usage()
		os.Exit(2)
	}
	os.Exit(node.Run("catamaran-cluster", func(world *node.World) int {
		if err := serve(world, options, *state, *manifests); err != nil {
			fmt.Fprintln(os.Stderr, "up:", err)
			return 1
		}
		return 0
	}))
}

func serve(world *node.World, options node.ClusterOptions, state, manifests string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	start := time.Now()
	cluster, err := world.StartCluster(options)
	if err != nil {
		return err
	}
	defer cluster.Stop()
	if err := cluster.ApplyRuntimeClasses(manifests); err != nil {
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
