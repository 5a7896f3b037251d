//! A chain with a contracts pallet in which a balance has 64 bits, as on the chain that the contract is for.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::wildcard_imports,
    reason = "what the pallets' macros generate"
)]

use ink_sandbox::frame_support::sp_runtime::testing::H256;
use ink_sandbox::frame_support::sp_runtime::traits::Convert;
use ink_sandbox::frame_support::sp_runtime::{AccountId32, BuildStorage, Perbill};
use ink_sandbox::frame_support::traits::{ConstBool, ConstU32, ConstU64, Randomness};
use ink_sandbox::frame_support::{construct_runtime, derive_impl, parameter_types};
use ink_sandbox::{
    frame_system, pallet_balances, pallet_contracts, pallet_timestamp, TestExternalities, Weight,
};

use super::pallet::StakeExtension;

construct_runtime!(
    pub enum Runtime {
        System: frame_system,
        Balances: pallet_balances,
        Timestamp: pallet_timestamp,
        Contracts: pallet_contracts,
    }
);

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig as frame_system::DefaultConfig)]
impl frame_system::Config for Runtime {
    type Block = frame_system::mocking::MockBlockU32<Runtime>;
    type Version = ();
    type BlockHashCount = ConstU32<250>;
    type AccountData = pallet_balances::AccountData<u64>;
}

impl pallet_balances::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type Balance = u64;
    type DustRemoval = ();
    type ExistentialDeposit = ConstU64<1>;
    type AccountStore = System;
    type ReserveIdentifier = [u8; 8];
    type FreezeIdentifier = ();
    type MaxLocks = ();
    type MaxReserves = ();
    type MaxFreezes = ();
    type RuntimeHoldReason = RuntimeHoldReason;
    type RuntimeFreezeReason = RuntimeFreezeReason;
}

impl pallet_timestamp::Config for Runtime {
    type Moment = u64;
    type OnTimestampSet = ();
    type MinimumPeriod = ConstU64<1>;
    type WeightInfo = ();
}

/// No contract is given any: the pallet wants to be told of a source.
pub enum NoRandomness {}

impl Randomness<H256, u32> for NoRandomness {
    fn random(_: &[u8]) -> (H256, u32) {
        panic!("the contract asked for randomness")
    }
}

impl Convert<Weight, u64> for Runtime {
    fn convert(weight: Weight) -> u64 {
        weight.ref_time()
    }
}

parameter_types! {
    pub Schedule: pallet_contracts::Schedule<Runtime> = pallet_contracts::Schedule::default();
    pub DepositLimit: u64 = 10_000_000;
    pub LockupPercent: Perbill = Perbill::zero();
}

impl pallet_contracts::Config for Runtime {
    type Time = Timestamp;
    type Randomness = NoRandomness;
    type Currency = Balances;
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type CallFilter = ();
    type WeightPrice = Self;
    type WeightInfo = ();
    type ChainExtension = StakeExtension;
    type Schedule = Schedule;
    type CallStack = [pallet_contracts::Frame<Self>; 5];
    type DepositPerByte = ConstU64<1>;
    type DepositPerItem = ConstU64<1>;
    type AddressGenerator = pallet_contracts::DefaultAddressGenerator;
    type MaxCodeLen = ConstU32<{ 128 * 1024 }>;
    type MaxStorageKeyLen = ConstU32<128>;
    type UnsafeUnstableInterface = ConstBool<false>;
    type UploadOrigin = frame_system::EnsureSigned<AccountId32>;
    type InstantiateOrigin = frame_system::EnsureSigned<AccountId32>;
    type MaxDebugBufferLen = ConstU32<{ 2 * 1024 * 1024 }>;
    type Migrations = ();
    type DefaultDepositLimit = DepositLimit;
    type Debug = ();
    type CodeHashLockupDepositPercent = LockupPercent;
    type MaxDelegateDependencies = ConstU32<32>;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Environment = ();
    type Xcm = ();
    type ApiVersion = ();
}

/// The chain on its first block, where each of these accounts can pay its deposits.
pub fn chain(accounts: &[AccountId32]) -> TestExternalities {
    let balances = accounts
        .iter()
        .map(|account| (account.clone(), 1_000_000_000_000));
    let balances = pallet_balances::GenesisConfig::<Runtime> {
        balances: balances.collect(),
    };
    let mut storage = frame_system::GenesisConfig::<Runtime>::default()
        .build_storage()
        .unwrap();
    balances.assimilate_storage(&mut storage).unwrap();
    let mut chain = TestExternalities::new(storage);
    chain.execute_with(|| System::set_block_number(1));
    chain
}
