package main

import (
	"context"
	"fmt"

	"github.com/cosmos/cosmos-sdk/client/tx"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	"github.com/cosmos/cosmos-sdk/x/group"
)

const (
	gasEach = 1_000_000 // more than any of these takes; gas costs nothing here
	// About what a Tocsin report says of itself.
	metadata = "report.cluster.dengue icd11:1D2Z area:07 20700 1 actual"
)

// sign makes a transaction of one person's messages, and counts up its sequence.
func sign(c *chain, by *person, msgs []sdk.Msg) ([]byte, error) {
	config := c.config.TxConfig
	builder := config.NewTxBuilder()
	if err := builder.SetMsgs(msgs...); err != nil {
		return nil, err
	}
	builder.SetGasLimit(uint64(gasEach * len(msgs)))
	mode := signing.SignMode_SIGN_MODE_DIRECT
	empty := signing.SignatureV2{
		PubKey: by.key.PubKey(), Data: &signing.SingleSignatureData{SignMode: mode}, Sequence: by.sequence,
	}
	// The signed bytes name the signer, so an empty signature goes in first.
	if err := builder.SetSignatures(empty); err != nil {
		return nil, err
	}
	data := authsigning.SignerData{
		Address: by.address(), ChainID: c.config.ChainID, AccountNumber: by.number, Sequence: by.sequence,
		PubKey: by.key.PubKey(),
	}
	signed, err := tx.SignWithPrivKey(context.Background(), mode, data, builder, by.key, config, by.sequence)
	if err != nil {
		return nil, err
	}
	if err := builder.SetSignatures(signed); err != nil {
		return nil, err
	}
	by.sequence++
	return config.TxEncoder()(builder.GetTx())
}

// step is a transaction, and the place of one that must be in a block before it is sent, -1 for none.
type step struct {
	tx    []byte
	after int
}

// stream is the whole work in order: submissions in groups of o.acts; the votes on a group so much later that it is
// in a block by then, where o.window transactions are on their way; and as much later again the vote that executes,
// which would leave no proposal for a vote that came after it. whole: how many steps there are to the last submission,
// after which only votes are left.
func stream(c *chain, people []*person, policy string, o options) (steps []step, whole int, err error) {
	groups := o.proposals / o.acts
	lag := o.window/(1+votes) + 1
	submitted, voted := make([]int, groups), make([]int, groups)
	add := func(tx []byte, err error, after int) error {
		steps = append(steps, step{tx, after})
		return err
	}
	for place := range groups + 2*lag {
		if place < groups {
			made, err := submissions(c, people[0], policy, place*o.acts, o.acts)
			if err := add(made, err, -1); err != nil {
				return nil, 0, err
			}
			submitted[place], whole = len(steps)-1, len(steps)
		}
		if before := place - lag; before >= 0 && before < groups {
			for _, voter := range people[1:votes] {
				made, err := ballots(c, voter, before*o.acts, o.acts, false)
				if err := add(made, err, submitted[before]); err != nil {
					return nil, 0, err
				}
			}
			voted[before] = len(steps) - 1
		}
		if before := place - 2*lag; before >= 0 {
			made, err := ballots(c, people[votes], before*o.acts, o.acts, true)
			if err := add(made, err, voted[before]); err != nil {
				return nil, 0, err
			}
		}
	}
	return steps, whole, nil
}

func submissions(c *chain, author *person, policy string, first, number int) ([]byte, error) {
	msgs := make([]sdk.Msg, number)
	for i := range msgs {
		msg, err := group.NewMsgSubmitProposal(
			policy, []string{author.address()}, nil, metadata, group.Exec_EXEC_UNSPECIFIED,
			fmt.Sprintf("report %d", first+i), "a suspected cluster",
		)
		if err != nil {
			return nil, err
		}
		msgs[i] = msg
	}
	return sign(c, author, msgs)
}

// ballots on proposals, which are numbered from 1 as they come; execute: try it with each.
func ballots(c *chain, voter *person, first, number int, execute bool) ([]byte, error) {
	msgs := make([]sdk.Msg, number)
	for i := range msgs {
		vote := &group.MsgVote{
			ProposalId: uint64(first + i + 1), Voter: voter.address(), Option: group.VOTE_OPTION_YES,
		}
		if execute {
			vote.Exec = group.Exec_EXEC_TRY
		}
		msgs[i] = vote
	}
	return sign(c, voter, msgs)
}
