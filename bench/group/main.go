// Group measures how many proposals a second a Cosmos SDK application with x/group decides on this machine.
//
// Validators in one process, on the SDK's own testutil/network with databases in memory, one-second blocks. A
// group of seven members with threshold four; for each proposal one submission and six votes, the last of which tries
// execution. It is the peer of `tocsin bench net`, and prints one JSON object.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

const (
	members   = 7
	threshold = "4"
	votes     = members - 1
)

// result is what one run measured. Rates are of the time between the first block with a decision and the last
// before only votes were left.
type result struct {
	SDK         string  `json:"sdk"`
	Validators  int     `json:"validators"`
	Acts        int     `json:"acts"`
	Proposals   int     `json:"proposals"`
	Decided     int     `json:"decided"`
	DecidedPerS float64 `json:"decided_per_s"`
	TxPerS      float64 `json:"tx_per_s"`
	P50         float64 `json:"p50_s"`
	P99         float64 `json:"p99_s"`
	Block       float64 `json:"block_s"`
	TxBytes     float64 `json:"tx_bytes"`
	CPU         float64 `json:"cpu_s"`
}

type options struct {
	validators, acts, proposals, window int
	commit                              time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.validators, "validators", 4, "validators")
	flag.IntVar(&o.acts, "acts", 1, "messages in a transaction")
	flag.IntVar(&o.proposals, "proposals", 1024, "proposals to decide")
	flag.IntVar(&o.window, "window", 1024, "transactions on their way at once")
	flag.DurationVar(&o.commit, "commit", time.Second, "pause after a block")
	flag.Parse()
	found, err := run(o)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "group:", err)
		os.Exit(1)
	}
}

func run(o options) (result, error) {
	if o.validators < 1 || o.acts < 1 || o.window < 1 || o.proposals < o.acts {
		return result{}, fmt.Errorf("-validators, -acts and -window are at least 1, and -proposals at least -acts")
	}
	people := newPeople()
	net, err := start(people, o)
	if err != nil {
		return result{}, err
	}
	// Not net.Cleanup: it closes databases under goroutines that still read them, and this process ends anyway.
	defer os.RemoveAll(net.BaseDir)
	chain := &chain{client: net.Validators[0].RPCClient, config: net.Config}
	policy, err := found(chain, people)
	if err != nil {
		return result{}, err
	}
	steps, whole, err := stream(chain, people, policy, o)
	if err != nil {
		return result{}, err
	}
	return drive(chain, steps, whole, o)
}
