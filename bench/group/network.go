package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtclient "github.com/cometbft/cometbft/rpc/client"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/testutil/configurator"
	"github.com/cosmos/cosmos-sdk/testutil/network"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	_ "github.com/cosmos/cosmos-sdk/x/authz/module"
	"github.com/cosmos/cosmos-sdk/x/group"
	_ "github.com/cosmos/cosmos-sdk/x/group/module"
)

const (
	poolSize = 20_000
	patience = 2 * time.Minute
)

// person is a member of the group. number, sequence: of the account.
type person struct {
	key              cryptotypes.PrivKey
	number, sequence uint64
}

func (p *person) address() string { return sdk.AccAddress(p.key.PubKey().Address()).String() }

func newPeople() []*person {
	people := make([]*person, members)
	for i := range people {
		seed := sha256.Sum256(fmt.Appendf(nil, "tocsin bench/group/%d", i))
		people[i] = &person{key: secp256k1.GenPrivKeyFromSecret(seed[:])}
	}
	return people
}

// quiet is the test network's log: nothing but errors is of interest, and those are returned.
type quiet struct{}

func (quiet) Log(...any)          {}
func (quiet) Logf(string, ...any) {}

func start(people []*person, o options) (*network.Network, error) {
	config, err := network.DefaultConfigWithAppConfig(configurator.NewAppConfig(
		configurator.AuthModule(),
		configurator.ParamsModule(),
		configurator.BankModule(),
		configurator.GenutilModule(),
		configurator.StakingModule(),
		configurator.ConsensusModule(),
		configurator.TxModule(),
		configurator.AuthzModule(),
		configurator.GroupModule(),
	))
	if err != nil {
		return nil, err
	}
	config.NumValidators = o.validators
	config.TimeoutCommit = o.commit
	config.MinGasPrices = "0" + config.BondDenom
	addAccounts(&config, people)
	construct := config.AppConstructor
	config.AppConstructor = func(val network.ValidatorI) servertypes.Application {
		// As in Tocsin's configuration of CometBFT, so that nobody waits longer or does more.
		comet := val.GetCtx().Config
		comet.Mempool.Size, comet.Mempool.CacheSize = poolSize, 2*poolSize
		comet.Mempool.RecheckTimeout = 10 * time.Second
		comet.P2P.FlushThrottleTimeout, comet.P2P.MaxPacketMsgPayloadSize = 10*time.Millisecond, 64<<10
		comet.P2P.SendRate, comet.P2P.RecvRate = 20<<20, 20<<20
		comet.Consensus.PeerGossipSleepDuration = 20 * time.Millisecond
		comet.TxIndex.Indexer = "null"
		// Accounts number their transactions, and those that come to a pool by two ways may overtake each other, and
		// fail: only the first validator, which takes the load, hands them on.
		comet.Mempool.Broadcast = comet.Moniker == "node0"
		return construct(val)
	}
	folder, err := os.MkdirTemp("", "tocsin-bench-group-")
	if err != nil {
		return nil, err
	}
	return network.New(quiet{}, folder, config)
}

func addAccounts(config *network.Config, people []*person) {
	var state authtypes.GenesisState
	config.Codec.MustUnmarshalJSON(config.GenesisState[authtypes.ModuleName], &state)
	var accounts []authtypes.GenesisAccount
	for _, one := range people {
		accounts = append(accounts, authtypes.NewBaseAccount(sdk.AccAddress(one.key.PubKey().Address()), one.key.PubKey(), 0, 0))
	}
	packed, err := authtypes.PackAccounts(accounts)
	if err != nil {
		panic(err) // base accounts can be packed
	}
	state.Accounts = append(state.Accounts, packed...)
	config.GenesisState[authtypes.ModuleName] = config.Codec.MustMarshalJSON(&state)
}

// chain is the first validator's view of the network.
type chain struct {
	client cmtclient.Client
	config network.Config
}

// height of the last block that this validator has executed.
func (c *chain) height() (int64, error) {
	info, err := c.client.ABCIInfo(context.Background())
	if err != nil {
		return 0, err
	}
	return info.Response.LastBlockHeight, nil
}

// block's transactions and their results.
func (c *chain) block(height int64) ([][]byte, []*abci.ExecTxResult, error) {
	block, err := c.client.Block(context.Background(), &height)
	if err != nil {
		return nil, nil, err
	}
	results, err := c.client.BlockResults(context.Background(), &height)
	if err != nil {
		return nil, nil, err
	}
	txs := make([][]byte, len(block.Block.Txs))
	for i, tx := range block.Block.Txs {
		txs[i] = tx
	}
	return txs, results.TxsResults, nil
}

// found makes the group and its policy, and learns the members' account numbers; the policy's address.
func found(c *chain, people []*person) (string, error) {
	for _, one := range people {
		if err := c.account(one); err != nil {
			return "", err
		}
	}
	requests := make([]group.MemberRequest, members)
	for i, one := range people {
		requests[i] = group.MemberRequest{Address: one.address(), Weight: "1"}
	}
	rule := group.NewThresholdDecisionPolicy(threshold, 24*time.Hour, 0)
	create, err := group.NewMsgCreateGroupWithPolicy(people[0].address(), requests, "", "", false, rule)
	if err != nil {
		return "", err
	}
	tx, err := sign(c, people[0], []sdk.Msg{create})
	if err != nil {
		return "", err
	}
	answer, err := c.client.BroadcastTxSync(context.Background(), tx)
	if err != nil {
		return "", err
	}
	if answer.Code != 0 {
		return "", fmt.Errorf("the group was refused: %s", answer.Log)
	}
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		policies, err := c.policies(people[0])
		if err != nil {
			return "", err
		}
		if len(policies) > 0 {
			return policies[0].Address, nil
		}
	}
	return "", fmt.Errorf("no block took the group in %s", patience)
}

func (c *chain) policies(admin *person) ([]*group.GroupPolicyInfo, error) {
	ask := &group.QueryGroupPoliciesByAdminRequest{Admin: admin.address()}
	var answer group.QueryGroupPoliciesByAdminResponse
	err := c.query("/cosmos.group.v1.Query/GroupPoliciesByAdmin", ask, &answer)
	return answer.GroupPolicies, err
}

func (c *chain) account(one *person) error {
	ask := &authtypes.QueryAccountInfoRequest{Address: one.address()}
	var answer authtypes.QueryAccountInfoResponse
	if err := c.query("/cosmos.auth.v1beta1.Query/AccountInfo", ask, &answer); err != nil {
		return err
	}
	one.number, one.sequence = answer.Info.AccountNumber, answer.Info.Sequence
	return nil
}

type message interface {
	Marshal() ([]byte, error)
}

type answerOf interface {
	Unmarshal([]byte) error
}

func (c *chain) query(path string, ask message, answer answerOf) error {
	data, err := ask.Marshal()
	if err != nil {
		return err
	}
	got, err := c.client.ABCIQuery(context.Background(), path, data)
	if err != nil {
		return err
	}
	if got.Response.Code != 0 {
		return fmt.Errorf("%s: %s", path, got.Response.Log)
	}
	return answer.Unmarshal(got.Response.Value)
}
