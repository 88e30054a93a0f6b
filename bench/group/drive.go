package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/cosmos-sdk/version"
)

const (
	look  = 20 * time.Millisecond
	batch = 64 // transactions sent between two looks
)

// block is one that held transactions of ours. at: when it was seen to be executed; txs, decided: counted to its end.
type block struct {
	at           time.Time
	height       int64
	txs, decided int
}

// drive sends the transactions in order, so that no more than o.window are without a block between the oldest and
// the newest, until all are executed.
func drive(c *chain, steps []step, whole int, o options) (result, error) {
	places := make(map[string]int, len(steps))
	size := 0
	for i, step := range steps {
		places[string(step.tx)] = i
		size += len(step.tx)
	}
	sent := make([]time.Time, len(steps))
	done := make([]bool, len(steps))
	var waited []float64
	var blocks []block
	height, err := c.height()
	if err != nil {
		return result{}, err
	}
	cpu := cpuSeconds()
	next, oldest, decided := 0, 0, 0
	last := time.Now()
	for oldest < len(steps) {
		for upto := next + batch; next < min(upto, len(steps), oldest+o.window) && (steps[next].after < 0 || done[steps[next].after]); {
			sent[next] = time.Now()
			answer, err := c.client.BroadcastTxSync(context.Background(), steps[next].tx)
			if err != nil {
				return result{}, err
			}
			if answer.Code != 0 {
				return result{}, fmt.Errorf("transaction %d was refused: %s", next, answer.Log)
			}
			next++
		}
		reached, err := c.height()
		if err != nil {
			return result{}, err
		}
		for ; height < reached; height++ {
			at := time.Now()
			held, results, err := c.block(height + 1)
			if err != nil {
				return result{}, err
			}
			for i, tx := range held {
				place, ours := places[string(tx)]
				if !ours {
					continue
				}
				if results[i].Code != 0 {
					return result{}, fmt.Errorf("transaction %d failed: %s", place, results[i].Log)
				}
				decided += executed(results[i].Events)
				waited = append(waited, at.Sub(sent[place]).Seconds())
				done[place] = true
			}
			if len(held) > 0 {
				blocks = append(blocks, block{at, height + 1, len(waited), decided})
				last = at
			}
			for oldest < len(steps) && done[oldest] {
				oldest++
			}
		}
		if time.Since(last) > patience {
			return result{}, fmt.Errorf("no transaction was taken for %s; %d of %d are", patience, len(waited), len(steps))
		}
		time.Sleep(look)
	}
	if want := o.proposals / o.acts * o.acts; decided != want {
		return result{}, fmt.Errorf("%d proposals were executed, not %d", decided, want)
	}
	return measured(blocks, waited, whole, float64(size)/float64(len(steps)), decided, cpuSeconds()-cpu, o)
}

func executed(events []abci.Event) int {
	number := 0
	for _, event := range events {
		if event.Type != "cosmos.group.v1.EventExec" {
			continue
		}
		for _, attribute := range event.Attributes {
			if attribute.Key == "result" && strings.Contains(attribute.Value, "RESULT_SUCCESS") {
				number++
			}
		}
	}
	return number
}

// measured leaves out the blocks up to the first with a decision, and those in which only votes were left.
func measured(
	blocks []block, waited []float64, whole int, txBytes float64, decided int, cpu float64, o options,
) (result, error) {
	from := slices.IndexFunc(blocks, func(one block) bool { return one.decided > 0 })
	to := slices.IndexFunc(blocks, func(one block) bool { return one.txs > whole }) - 1
	if from < 0 || to <= from {
		return result{}, fmt.Errorf("%d blocks are too few to measure; raise -proposals or lower -window", len(blocks))
	}
	first, end := blocks[from], blocks[to]
	wall := end.at.Sub(first.at).Seconds()
	slices.Sort(waited)
	return result{
		SDK: sdkVersion(), Validators: o.validators, Acts: o.acts, Proposals: o.proposals, Decided: decided,
		DecidedPerS: float64(end.decided-first.decided) / wall,
		TxPerS:      float64(end.txs-first.txs) / wall,
		P50:         waited[len(waited)/2], P99: waited[len(waited)*99/100],
		Block:   wall / float64(end.height-first.height),
		TxBytes: txBytes, CPU: cpu,
	}, nil
}

func sdkVersion() string { return version.NewInfo().CosmosSdkVersion }

func cpuSeconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}
