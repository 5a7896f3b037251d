//! The messages: who may do what, in which order it happens, and what is remembered.

/// The contract itself.
#[ink::contract(env = crate::SubtensorEnvironment)]
pub mod claim_contract {
    use ink::prelude::string::String;
    use ink::storage::Mapping;

    use crate::books::Books;
    use crate::burned_register::RuntimeCall;
    use crate::claim::ClaimData;
    use crate::epoch::{Epoch, CHALLENGE_BLOCKS, MAX_URI_BYTES};
    use crate::error::{Error, Result};
    use crate::events::{
        ChallengeResolved, Challenged, Claimed, EpochPublished, PauseChanged, ReserveFloorChanged,
        Role, RoleChanged, StakeWithdrawn,
    };
    use crate::merkle;

    /// What the contract remembers.
    #[ink(storage)]
    pub struct ClaimContract {
        owner: AccountId,
        gate: AccountId,
        vetoer: AccountId,
        arbiter: AccountId,
        netuid: u16,
        contract_hotkey: AccountId,
        paused: bool,
        books: Books,
        epochs: Mapping<u64, Epoch>,
        claimed_leaves: Mapping<Hash, ()>,
        claimed_rao: Mapping<AccountId, u64>,
    }

    /// What a claim comes to, before anything is written.
    struct Assessment {
        leaf: Hash,
        due_rao: u64,
        epoch: Epoch,
        books: Books,
    }

    impl ClaimContract {
        /// A contract that pays from its own stake with `new_contract_hotkey` on subnet `new_netuid`. Whoever
        /// instantiates it has all roles until they are given away.
        #[ink(constructor)]
        pub fn new(new_netuid: u16, new_contract_hotkey: AccountId) -> Self {
            let owner = Self::env().caller();
            Self {
                owner,
                gate: owner,
                vetoer: owner,
                arbiter: owner,
                netuid: new_netuid,
                contract_hotkey: new_contract_hotkey,
                paused: false,
                books: Books::default(),
                epochs: Mapping::default(),
                claimed_leaves: Mapping::default(),
                claimed_rao: Mapping::default(),
            }
        }

        /// The same as `new`, by the name that some clients use.
        #[ink(constructor)]
        #[allow(
            clippy::should_implement_trait,
            reason = "the name is part of the interface"
        )]
        pub fn default(netuid: u16, staking_contract_hotkey: AccountId) -> Self {
            Self::new(netuid, staking_contract_hotkey)
        }

        // Epochs

        /// Publishes an epoch; its challenge window begins. Gate only.
        ///
        /// `total_rao` is the sum of all leaves. Leaves are cumulative, so it is never less than before, and what is
        /// new in it must be covered by stake above the reserve floor.
        #[ink(message)]
        pub fn publish_epoch(
            &mut self,
            epoch: u64,
            root: Hash,
            num_of_leaves: u32,
            total_rao: u64,
            uri: String,
        ) -> Result<()> {
            self.ensure_caller(self.gate, Error::NotGate)?;
            self.ensure_running()?;
            if uri.len() > MAX_URI_BYTES {
                return Err(Error::UriTooLong);
            }
            let now = self.env().block_number();
            let record = Epoch::published(root, num_of_leaves, total_rao, now)?;
            let mut books = self.books_in(now)?;
            books.publish(epoch, total_rao, self.owned_rao()?)?;
            self.books = books;
            self.epochs.insert(epoch, &record);
            self.env().emit_event(EpochPublished {
                epoch,
                root,
                total_rao,
                uri,
            });
            Ok(())
        }

        /// Disputes an epoch during its challenge window; `evidence_hash` is the digest of what shows it wrong. Vetoer
        /// only, also while paused.
        #[ink(message)]
        pub fn challenge_epoch(&mut self, epoch: u64, evidence_hash: Hash) -> Result<()> {
            let challenger = self.ensure_caller(self.vetoer, Error::NotVetoer)?;
            let mut record = self.epoch(epoch)?;
            record.challenge(self.env().block_number())?;
            self.epochs.insert(epoch, &record);
            self.env().emit_event(Challenged {
                epoch,
                evidence_hash,
                challenger,
            });
            Ok(())
        }

        /// Decides a dispute: the epoch is struck down (`slash`) or can be claimed once its window is over. Arbiter
        /// only, also while paused. There is no bond, hence nothing for a beneficiary.
        #[ink(message)]
        pub fn resolve_challenge(
            &mut self,
            epoch: u64,
            slash: bool,
            _beneficiary: AccountId,
        ) -> Result<()> {
            let resolver = self.ensure_caller(self.arbiter, Error::NotArbiter)?;
            let mut record = self.epoch(epoch)?;
            if slash {
                record.strike_down()?;
                // Only the newest epoch can be disputed: none is published while one is unsettled.
                self.books.strike_down();
            } else {
                record.dismiss(self.env().block_number())?;
            }
            self.epochs.insert(epoch, &record);
            self.env().emit_event(ChallengeResolved {
                epoch,
                slashed: slash,
                resolver,
            });
            Ok(())
        }

        // Claims

        /// Pays a leaf: the recipient that it names gets its amount less what its hotkey was paid before. Anybody may
        /// bring the proof. With `transfer` false everything is checked and nothing is changed.
        #[ink(message)]
        pub fn claim_single(&mut self, data: ClaimData, transfer: bool) -> Result<()> {
            let assessment = self.assess(&data)?;
            if !transfer {
                return Ok(());
            }
            let due_rao = assessment.due_rao;
            // Written before the stake moves: whatever the chain calls meanwhile finds the claim paid.
            self.claimed_leaves.insert(assessment.leaf, &());
            self.claimed_rao.insert(data.hotkey, &data.amount);
            self.epochs.insert(data.epoch, &assessment.epoch);
            self.books = assessment.books;
            self.transfer_stake(data.recipient_coldkey, due_rao)?;
            self.env().emit_event(Claimed {
                epoch: data.epoch,
                index: data.index,
                hotkey: data.hotkey,
                recipient: data.recipient_coldkey,
                amount: due_rao,
            });
            Ok(())
        }

        // The owner's

        /// Names who publishes. Owner only.
        #[ink(message)]
        pub fn set_gate(&mut self, gate: AccountId) -> Result<()> {
            self.ensure_owner()?;
            self.gate = gate;
            self.announce_role(Role::Gate, gate);
            Ok(())
        }

        /// Names who challenges. Owner only.
        #[ink(message)]
        pub fn set_vetoer(&mut self, vetoer: AccountId) -> Result<()> {
            self.ensure_owner()?;
            self.vetoer = vetoer;
            self.announce_role(Role::Vetoer, vetoer);
            Ok(())
        }

        /// Names who decides challenges. Owner only.
        #[ink(message)]
        pub fn set_arbiter(&mut self, arbiter: AccountId) -> Result<()> {
            self.ensure_owner()?;
            self.arbiter = arbiter;
            self.announce_role(Role::Arbiter, arbiter);
            Ok(())
        }

        /// Stops publishing and claiming. Owner only.
        #[ink(message)]
        pub fn pause(&mut self) -> Result<()> {
            self.set_paused(true)
        }

        /// Lets publishing and claiming go on. Owner only.
        #[ink(message)]
        pub fn unpause(&mut self) -> Result<()> {
            self.set_paused(false)
        }

        /// Sets the stake (rao) that is neither promised nor paid out. Owner only; it cannot be raised into what is
        /// owed.
        #[ink(message)]
        pub fn set_reserve_floor_rao(&mut self, reserve_floor_rao: u64) -> Result<()> {
            self.ensure_owner()?;
            let owned_rao = self.owned_rao()?;
            self.books.set_reserve_floor(reserve_floor_rao, owned_rao)?;
            self.env()
                .emit_event(ReserveFloorChanged { reserve_floor_rao });
            Ok(())
        }

        /// Makes all stake that is owed to nobody the reserve floor, and answers how much that is. Owner only.
        #[ink(message)]
        pub fn capture_reserve_floor_rao(&mut self) -> Result<u64> {
            self.ensure_owner()?;
            let owned_rao = self.owned_rao()?;
            let reserve_floor_rao = self.books.capture_reserve_floor(owned_rao);
            self.env()
                .emit_event(ReserveFloorChanged { reserve_floor_rao });
            Ok(reserve_floor_rao)
        }

        /// Takes out stake that is owed to nobody. Owner only, also while paused.
        #[ink(message)]
        pub fn transfer_stake_safety(
            &mut self,
            recipient_coldkey: AccountId,
            amount: u64,
        ) -> Result<()> {
            self.ensure_owner()?;
            let owned_rao = self.owned_rao()?;
            self.books.withdraw(amount, owned_rao)?;
            self.transfer_stake(recipient_coldkey, amount)?;
            self.env().emit_event(StakeWithdrawn {
                recipient: recipient_coldkey,
                amount,
            });
            Ok(())
        }

        /// Registers the contract's hotkey on its subnet, paid from the contract's balance. Owner only.
        #[ink(message)]
        pub fn burned_register_contract_hotkey(&mut self) -> Result<()> {
            self.ensure_owner()?;
            let call = RuntimeCall::burned_register(self.netuid, self.contract_hotkey);
            self.env()
                .call_runtime(&call)
                .map_err(|_| Error::WriteFailed)
        }

        // Views

        /// A published epoch.
        #[ink(message)]
        pub fn get_epoch_info(&self, epoch: u64) -> Result<Epoch> {
            self.epoch(epoch)
        }

        /// The newest epoch that was not struck down.
        #[ink(message)]
        pub fn get_latest_published_epoch(&self) -> Option<u64> {
            self.books.latest()
        }

        /// What `hotkey` was paid in all, in rao.
        #[ink(message)]
        pub fn get_claimed_cumulative_rao(&self, hotkey: AccountId) -> u64 {
            self.claimed_rao.get(hotkey).unwrap_or_default()
        }

        /// What the contract owes, in rao: the newest total less everything paid.
        #[ink(message)]
        pub fn get_outstanding_rao(&self) -> u64 {
            self.books.outstanding_rao()
        }

        /// What a new epoch may promise, in rao.
        #[ink(message)]
        pub fn get_publishable_rao(&self) -> u64 {
            self.books.publishable_rao(self.get_contract_owned_stake())
        }

        /// What is owed to nobody, in rao.
        #[ink(message)]
        pub fn get_free_reserve_rao(&self) -> u64 {
            self.books.free_reserve_rao(self.get_contract_owned_stake())
        }

        /// The stake that is neither promised nor paid out, in rao.
        #[ink(message)]
        pub fn get_reserve_floor_rao(&self) -> u64 {
            self.books.reserve_floor_rao()
        }

        /// The contract's stake with its hotkey, in rao.
        #[ink(message)]
        pub fn get_contract_owned_stake(&self) -> u64 {
            self.get_stake_for_coldkey(self.env().account_id())
        }

        /// The stake of `coldkey` with the contract's hotkey, in rao.
        ///
        /// # Panics
        ///
        /// When the chain does not answer: the interface has no error here, and a made-up 0 would be worse.
        #[ink(message)]
        pub fn get_stake_for_coldkey(&self, coldkey: AccountId) -> u64 {
            self.stake_rao(coldkey).expect("the chain told no stake")
        }

        /// The hotkey that holds the contract's stake.
        #[ink(message)]
        pub fn get_contract_hotkey(&self) -> AccountId {
            self.contract_hotkey
        }

        /// Who instantiated the contract.
        #[ink(message)]
        pub fn get_owner(&self) -> AccountId {
            self.owner
        }

        /// Who publishes.
        #[ink(message)]
        pub fn get_gate(&self) -> AccountId {
            self.gate
        }

        /// Who challenges.
        #[ink(message)]
        pub fn get_vetoer(&self) -> AccountId {
            self.vetoer
        }

        /// Who decides challenges.
        #[ink(message)]
        pub fn get_arbiter(&self) -> AccountId {
            self.arbiter
        }

        /// How many blocks an epoch can be challenged for.
        #[ink(message)]
        pub fn get_challenge_blocks(&self) -> BlockNumber {
            CHALLENGE_BLOCKS
        }

        /// Whether publishing and claiming are stopped.
        #[ink(message)]
        pub fn is_paused(&self) -> bool {
            self.paused
        }

        fn assess(&self, data: &ClaimData) -> Result<Assessment> {
            self.ensure_running()?;
            let now = self.env().block_number();
            let mut epoch = self.epoch(data.epoch)?;
            epoch.ensure_open(now)?;
            let leaf = merkle::leaf(&self.env().account_id(), data);
            let root = Hash::from(epoch.root);
            merkle::verify(&root, epoch.num_of_leaves, data.index, leaf, &data.proof)?;
            if self.claimed_leaves.contains(leaf) {
                return Err(Error::AlreadyClaimed);
            }
            let paid_before = self.get_claimed_cumulative_rao(data.hotkey);
            let due_rao = data.amount.saturating_sub(paid_before);
            if due_rao == 0 {
                return Err(Error::NothingDue);
            }
            epoch.spend(due_rao)?;
            let mut books = self.books_in(now)?;
            books.pay(due_rao, self.owned_rao()?)?;
            Ok(Assessment {
                leaf,
                due_rao,
                epoch,
                books,
            })
        }

        /// The books in block `now`: the passing of a challenge window settles an epoch without anybody calling.
        fn books_in(&self, now: BlockNumber) -> Result<Books> {
            let mut books = self.books.clone();
            if let Some(epoch) = books.unsettled() {
                if self.epoch(epoch)?.ensure_open(now).is_ok() {
                    books.settle();
                }
            }
            Ok(books)
        }

        fn epoch(&self, epoch: u64) -> Result<Epoch> {
            self.epochs.get(epoch).ok_or(Error::EpochUnknown)
        }

        fn owned_rao(&self) -> Result<u64> {
            self.stake_rao(self.env().account_id())
        }

        fn stake_rao(&self, coldkey: AccountId) -> Result<u64> {
            let info = self
                .env()
                .extension()
                .stake_info(self.contract_hotkey, coldkey, self.netuid)
                .map_err(|_| Error::ReadFailed)?;
            Ok(info.map_or(0, |info| info.stake.0))
        }

        fn transfer_stake(&self, recipient: AccountId, rao: u64) -> Result<()> {
            self.env()
                .extension()
                .transfer_stake(
                    recipient,
                    self.contract_hotkey,
                    self.netuid,
                    self.netuid,
                    rao,
                )
                .map_err(Error::TransferRefused)
        }

        fn set_paused(&mut self, paused: bool) -> Result<()> {
            self.ensure_owner()?;
            self.paused = paused;
            self.env().emit_event(PauseChanged { paused });
            Ok(())
        }

        fn announce_role(&self, role: Role, account: AccountId) {
            self.env().emit_event(RoleChanged { role, account });
        }

        fn ensure_running(&self) -> Result<()> {
            if self.paused {
                Err(Error::Paused)
            } else {
                Ok(())
            }
        }

        fn ensure_owner(&self) -> Result<AccountId> {
            self.ensure_caller(self.owner, Error::NotOwner)
        }

        fn ensure_caller(&self, role: AccountId, error: Error) -> Result<AccountId> {
            let caller = self.env().caller();
            if caller == role {
                Ok(caller)
            } else {
                Err(error)
            }
        }
    }
}
