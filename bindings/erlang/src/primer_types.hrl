%% The types of what the verbs take and give; exported by `primer', which includes this.

-type handle() :: reference().
%% A member, a queue, a subscription or a reader of news; opaque.
-type name() :: binary() | atom() | string().
-type queue() :: handle() | name().
-type text() :: binary() | string() | atom().
-type lease() :: reference().
-type delivery() :: #{
    id := binary(),
    body := binary(),
    headers := [{binary(), binary()}],
    attempts := pos_integer(),
    key := binary() | undefined,
    priority := 0..9,
    queue := binary(),
    handle := lease()
}.
-type receipt() :: #{
    id := binary(),
    copies := non_neg_integer(),
    durable_copies := non_neg_integer(),
    wanted := non_neg_integer(),
    is_duplicate := boolean()
}.
%% A duplicate's `dedup' was known: the message is that of an earlier enqueue.
-type reply() :: #{body := binary(), headers := [{binary(), binary()}]}.
%% What a call is answered with.
-type page() :: #{messages := [browsed()], cursor := binary() | undefined, missing := [binary()]}.
%% A part of a queue's messages, oldest first. The cursor is the next page's `after', `undefined' at the last one;
%% missing are the ids of members that did not answer.
-type browsed() :: #{
    id := binary(), group := binary() | undefined, state := ready | delayed | leased,
    body := binary(), body_bytes := non_neg_integer(), headers := [{binary(), binary()}],
    attempts := non_neg_integer(), key := binary() | undefined, priority := 0..9, copies := non_neg_integer(), owner := binary(),
    accepted_ms := non_neg_integer(), ready_at_ms := non_neg_integer() | undefined,
    expires_ms := non_neg_integer() | undefined, lease_ms := non_neg_integer() | undefined
}.
%% A message that was looked at; `body' may be its beginning, of `body_bytes'.
-type explanation() :: #{accounts := [account()], missing := [binary()]}.
%% What is known of a message, in the order of the members' ids; missing are the ids of members that did not answer.
-type account() :: #{
    member := binary(), id := binary(), queue := binary() | undefined, group := binary() | undefined,
    known :=
        unknown | replicating | ready | delayed | leased | standby | moving | dying
        | acked | dead | expired | aborted | forgotten,
    attempts := non_neg_integer(), owner := binary() | undefined, holders := [binary()],
    confirmed := non_neg_integer(), lessee := binary() | undefined, lease_ms := non_neg_integer() | undefined,
    accepted_ms := non_neg_integer() | undefined, ready_at_ms := non_neg_integer() | undefined,
    expires_ms := non_neg_integer() | undefined
}.
%% What one member knows of it, or of it in one group, or of its dead letter, whose ids are their own.
-type redriven() :: #{
    matched := non_neg_integer(), moved := non_neg_integer(), refused := non_neg_integer(),
    skipped := non_neg_integer(), leased := non_neg_integer(), missing := [binary()]
}.
%% How many messages were meant, are back, stay because they were refused where they would go or do not say where they
%% came from, and are a consumer's; missing are the ids of members that did not answer.
-type diagnosis() :: #{findings := [finding()], facts := [facts()], missing := [binary()]}.
%% What is the matter with a queue, the most important first, and what members know of it, in the order of their ids.
-type finding() :: #{
    code :=
        paused_out | owner_unreachable | member_missing | no_group | no_consumer | no_credit | all_leased | delayed
        | key_busy | paused_in | full | memory | empty | healthy,
    group := binary() | undefined, messages := non_neg_integer(), members := [binary()]
}.
%% One thing that is the matter with it, or with a group of it; members are whom it is about.
-type facts() :: #{
    member := binary(), group := binary() | undefined,
    ready := non_neg_integer(), leased := non_neg_integer(), delayed := non_neg_integer(),
    standby := non_neg_integer(), stranded := non_neg_integer(),
    oldest_ms := non_neg_integer() | undefined, next_ready_ms := non_neg_integer() | undefined,
    next_lease_ms := non_neg_integer() | undefined, lessees := [binary()], owners := [binary()],
    receives := non_neg_integer(), subscriptions := non_neg_integer(), credit := non_neg_integer(),
    paused := in | out | both | undefined, paused_by := binary() | undefined,
    messages_max := pos_integer() | undefined, bytes_max := pos_integer() | undefined, is_full := boolean(),
    memory_percent := non_neg_integer()
}.
%% What one member knows of a queue, or of one group of it. Stranded are copies whose owner it cannot reach.
-type member() :: #{
    id := binary(),
    name := binary(),
    address := binary(),
    boot := binary(),
    is_self := boolean(),
    is_reachable := boolean(),
    memory_level := 0..4,
    zone := binary()
}.
-type event() :: #{
    at_ms := non_neg_integer(),
    kind :=
        joined | left | suspect | unreachable | reachable | split | healed | conflict | evicted | takeover | refused
        | atom(),
    member := binary(),
    name := binary(),
    detail := binary(),
    missed := non_neg_integer()
}.
-type broadcast() :: #{
    topic := binary(),
    from := binary(),
    body := binary(),
    missed := non_neg_integer()
}.
-type change() :: #{
    key := binary(),
    value := binary() | undefined,
    missed := non_neg_integer()
}.
%% Of a key that was removed the value is `undefined'.
-type news() :: event() | broadcast() | change().
%% What a reader hears; `missed' is how much it has missed so far, because it was too slow.
-type entry() :: #{
    key := binary(),
    value := binary(),
    at_ms := non_neg_integer(),
    others := [binary()]
}.
%% `others' are values that were written at the same time as this one, not knowing of it.
-type error() :: {
    wrong_call | not_now | in_doubt | too_late | member_down,
    Kind :: atom(),
    #{number := pos_integer(), reason := binary(), atom() => binary() | pos_integer()}
}.
-type options() :: #{atom() => term()} | [{atom(), term()}].
-type open_options() :: options().
%% `cluster', `name', `listen' (an address or `none'), `seeds' (a list of addresses), `advertise', `zone',
%% `discover' (`local', `none', `nodes', or a list such as `[none, nodes]'), `data_dir', `copies',
%% `placement' (`sticky' or `shuffle_each'), `on_short' (`degrade', `fail' or `wait'), `enqueue_timeout_ms', `lease_ms', `max_attempts',
%% `takeover_after_ms', `repair_after_ms', `retire_after_ms', `memory_bytes_max', `body_bytes_max', `secret' (one, or a list of
%% up to three), `tls_ca', `tls_cert', `tls_key' (paths of PEM files).
-type enqueue_options() :: options().
%% `copies', `on_short', `timeout', `headers' (a map or pairs of binaries), `priority' (0 to 9), `delay', `at'
%% (ms since 1970), `ttl', `max_attempts', `at_most_once' (`true'), `if_no_group' (`hold', `drop' or `refuse'), `key' (a binary),
%% `dedup' (a binary: within `dedup_window', 300,000 ms, messages with the same are one, and the receipt says so).
-type browse_options() :: options().
%% `max' (100, up to 1,000), `after' (a page's cursor), `group' (the queue itself), `states' (a list of `ready',
%% `delayed', `leased'), `headers' (a map or pairs of binaries), `body_bytes_max' (65,536), `timeout' (2,000).
-type redrive_options() :: options().
%% `to' (where each came from), `max' (10,000 of all members together, up to 1,000,000), `headers' that they all have,
%% such as `primer-cause' or `primer-group' (a map or pairs of binaries), `ids' (a list, up to 1,000, as a browse shows
%% them), `dry_run' (`false': they are only counted), `timeout' (30,000).
-type receive_options() :: options().
%% `max' (1), `wait' (0), `lease' (the queue's setting, else the member's default), `group' (the queue itself), `backlog' (`false').
-type subscribe_options() :: options().
%% `credit' (64), `credit_bytes', `lease', `max_run' (for so long Primer itself extends the lease of an
%% unsettled delivery), `mode' (`push' or `pull'), `group', `backlog'.
-type settings() :: #{atom() | binary() => term()} | [{atom(), term()}].
%% What queues are told; `undefined' unsets one: `copies', `on_short' (`degrade', `fail' or `wait'),
%% `enqueue_timeout_ms', `lease_ms', `max_attempts', `ttl_ms', `backoff_ms' and `backoff_ms_max' (of a nack without a
%% delay), `dead_letters' (a queue), `messages_max' and `bytes_max' (of the queue, or of each of its groups), `overflow'
%% (`refuse' or `drop_oldest'), `takeover_after_ms', `key_concurrency', `paused' (`none', `in', `out' or `both'). As they hold, words are
%% binaries.
