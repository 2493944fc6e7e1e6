package remediate

// Reason is why a step is taken or held back. CLI, log, metrics and tests use the same word.
type Reason string

// Why automation or an order takes a step.
const (
	SidecarFails    Reason = "sidecar-fails"   // the app's own checks fail
	SidecarPasses   Reason = "sidecar-passes"  // they pass again
	BelowFloor      Reason = "below-floor"     // too few servers serve: own takes go back, least bad first
	OperatorLifted  Reason = "operator-lifted" // somebody put our take back; what is left of it is undone
	OperatorOrder   Reason = "operator-order"  // an operator ordered it
	OrderReapplied  Reason = "order-reapplied" // the balancer forgot an order in a reload
	ServerGone      Reason = "server-gone"     // the config no longer has the server
	BalancerRefused Reason = "order-refused"   // the balancer would not have it: the order is not kept
	OrderExpired    Reason = "order-expired"   // the order's time is over
	TakeReapplied   Reason = "take-reapplied"  // the balancer forgot our take in a reload, and the app still fails
	TakeCompleted   Reason = "take-completed"  // a check under way put back what was only half taken, and the app still fails
	CheckEnded      Reason = "check-ended"     // no check is under way any more that could put our take back
	AgentLifted     Reason = "agent-lifted"    // an agent check put our take back; what is left of it is undone
	SetAlready      Reason = "set-already"     // somebody had set it before the order
	Lapsed          Reason = "lapsed"          // the balancer forgot it, and nothing asks for it now
	BroughtBack     Reason = "brought-back"    // a state file carried it over a reload
	ReleaseOrder    Reason = "release-order"   // an operator had our takes released
)

// Why a step is held back.
const (
	HoldObserve       Reason = "observe-mode"
	HoldFrozen        Reason = "frozen"
	HoldNoJournal     Reason = "no-journal"
	HoldStaleView     Reason = "stale-observation"
	HoldOrdersOnly    Reason = "orders-only"
	HoldDenied        Reason = "commands-denied" // the balancer takes no commands from us
	HoldSingleServer  Reason = "single-server"
	HoldOperatorOrder Reason = "operator-order-stands"
	HoldOverride      Reason = "operator-override" // an operator put back what we took out
	HoldTracks        Reason = "tracks-another"
	HoldAgent         Reason = "agent-owns-it"
	HoldCheckOff      Reason = "check-off"        // by somebody else
	HoldRefused       Reason = "balancer-refused" // a step was refused a moment ago
	HoldPending       Reason = "unknown-outcome"
	HoldEvidenceStale Reason = "stale-evidence"
	HoldNoEvidence    Reason = "no-evidence"
	HoldDisagree      Reason = "sidecars-disagree"
	HoldCorrelated    Reason = "correlated-failure" // so many fail at once that the observer suspects itself
	HoldFloor         Reason = "capacity-floor"
	HoldFollowerFloor Reason = "follower-capacity-floor" // a backend that tracks this one would fall below its floor
	HoldEjected       Reason = "ejection-limit"
	HoldThreshold     Reason = "threshold-rule"
	HoldMapHash       Reason = "map-hash"
	HoldPersistence   Reason = "persistence"
	HoldVelocity      Reason = "velocity"
	HoldFleetVelocity Reason = "fleet-velocity"
	HoldDownTime      Reason = "hold-down"          // it flapped: it stays out for a while
	HoldBalancerDown  Reason = "balancer-disagrees" // its sidecar passes, but the balancer's own check fails
	HoldUnknownServer Reason = "unknown-server"
	HoldForeignMaint  Reason = "foreign-maint" // a drain would take the server out of somebody's maintenance
)
