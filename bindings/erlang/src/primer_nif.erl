%% @private The NIF's functions and nothing else, so that the module never has a reason to change:
%% a native library cannot be upgraded in a running VM, everything above it can.
-module(primer_nif).

-export([
    open/1, join/2, explain/2, leave/2, close/1, is_closed/1, address/1, members/1, stats/1, events/1,
    queue/2, enqueue/2, enqueue_with/3, enqueue_many/3, call/3, browse/2, redrive/2, doctor/1, 'receive'/1, receive_with/2, subscribe/2,
    create_group/3, remove_group/2, groups/1, configure/2, configuration/1, pause/2, resume/1, purge/1,
    set_policy/3, remove_policy/2, policies/1,
    ack/1, ack_many/1, reply/3, nack/2, reject/2, release/1, extend/2,
    credit/2, next/2,
    broadcast/3, on/2, put/3, get/2, delete/2, list/2, watch/2, evict/2, reclaim/2, rotate/2,
    weak/1, strong/1,
    await_later/2, cancel_later/1
]).
-export_type([receipts/0, deliveries/0]).

-on_load(load/0).

-type handle() :: reference().
-type late() :: {later, handle()}.
-type failed() :: {error, primer:error()}.
%% Batches, without what their elements have in common.
-type receipts() :: [{non_neg_integer(), non_neg_integer(), non_neg_integer(), boolean(), [Id :: binary()]}].
-type deliveries() ::
    %% None or one.
    [primer:delivery()]
    | {Queue :: binary(), [
        %% Of each delivery its id, its body and its handle.
        {Attempts :: pos_integer(), Priority :: 0..9, Headers :: [{binary(), binary()}], [binary() | handle()]}
    ]}.

-spec load() -> ok | {error, term()}.
load() ->
    erlang:load_nif(filename:join(priv_dir(), "primer_nif"), 0).

%% Also without an application directory, as in a checkout.
-spec priv_dir() -> file:filename_all().
priv_dir() ->
    case code:priv_dir(primer) of
        {error, bad_name} ->
            filename:join(filename:dirname(filename:dirname(code:which(?MODULE))), "priv");
        Dir ->
            Dir
    end.

-spec open([{binary(), binary()}]) -> {ok, handle(), ok | late() | failed()} | failed().
open(_Pairs) -> erlang:nif_error(not_loaded).

-spec join(handle(), binary()) -> ok | late() | failed().
join(_Member, _Address) -> erlang:nif_error(not_loaded).

-spec leave(handle(), map()) -> ok | late() | failed().
leave(_Member, _Options) -> erlang:nif_error(not_loaded).

-spec close(handle()) -> ok | flush | late() | failed().
close(_Handle) -> erlang:nif_error(not_loaded).

%% Of a member or of a weak handle of one.
-spec is_closed(handle()) -> boolean().
is_closed(_Handle) -> erlang:nif_error(not_loaded).

-spec address(handle()) -> binary() | undefined.
address(_Member) -> erlang:nif_error(not_loaded).

-spec members(handle()) -> {ok, [primer:member()]} | failed().
members(_Member) -> erlang:nif_error(not_loaded).

-spec stats(handle()) -> {ok, #{atom() => non_neg_integer()}} | failed().
stats(_Member) -> erlang:nif_error(not_loaded).

-spec events(handle()) -> {ok, handle()}.
events(_Member) -> erlang:nif_error(not_loaded).

-spec queue(handle(), binary()) -> {ok, handle()} | failed().
queue(_Member, _Name) -> erlang:nif_error(not_loaded).

-spec enqueue(handle(), binary()) -> {ok, primer:receipt()} | late() | failed().
enqueue(_Queue, _Body) -> erlang:nif_error(not_loaded).

-spec enqueue_with(handle(), binary(), map()) -> {ok, primer:receipt()} | late() | failed().
enqueue_with(_Queue, _Body, _Options) -> erlang:nif_error(not_loaded).

-spec enqueue_many(handle(), [binary()], map()) -> {ok, receipts()} | late() | failed().
enqueue_many(_Queue, _Bodies, _Options) -> erlang:nif_error(not_loaded).

-spec call(handle(), binary(), map()) -> {ok, primer:reply()} | late() | failed().
call(_Queue, _Body, _Options) -> erlang:nif_error(not_loaded).

-spec explain(handle(), binary()) -> {ok, primer:explanation()} | late() | failed().
explain(_Member, _Id) -> erlang:nif_error(not_loaded).

-spec browse(handle(), map()) -> {ok, primer:page()} | late() | failed().
browse(_Queue, _Options) -> erlang:nif_error(not_loaded).

-spec redrive(handle(), map()) -> {ok, primer:redriven()} | late() | failed().
redrive(_Queue, _Options) -> erlang:nif_error(not_loaded).

-spec doctor(handle()) -> {ok, primer:diagnosis()} | late() | failed().
doctor(_Queue) -> erlang:nif_error(not_loaded).

-spec 'receive'(handle()) -> {ok, deliveries()} | late() | failed().
'receive'(_Queue) -> erlang:nif_error(not_loaded).

-spec receive_with(handle(), map()) -> {ok, deliveries()} | late() | failed().
receive_with(_Queue, _Options) -> erlang:nif_error(not_loaded).

-spec subscribe(handle(), map()) -> {ok, handle()} | failed().
subscribe(_Queue, _Options) -> erlang:nif_error(not_loaded).

-spec create_group(handle(), binary(), map()) -> ok | failed().
create_group(_Queue, _Group, _Options) -> erlang:nif_error(not_loaded).

-spec remove_group(handle(), binary()) -> ok | failed().
remove_group(_Queue, _Group) -> erlang:nif_error(not_loaded).

-spec groups(handle()) -> {ok, [binary()]} | failed().
groups(_Queue) -> erlang:nif_error(not_loaded).

-spec configure(handle(), [{binary(), binary()}]) -> ok | failed().
configure(_Queue, _Settings) -> erlang:nif_error(not_loaded).

-spec configuration(handle()) -> {ok, [{binary(), binary()}]} | failed().
configuration(_Queue) -> erlang:nif_error(not_loaded).

-spec pause(handle(), binary()) -> ok | failed().
pause(_Queue, _Direction) -> erlang:nif_error(not_loaded).

-spec resume(handle()) -> ok | failed().
resume(_Queue) -> erlang:nif_error(not_loaded).

-spec purge(handle()) -> ok | failed().
purge(_Queue) -> erlang:nif_error(not_loaded).

-spec set_policy(handle(), binary(), [{binary(), binary()}]) -> ok | failed().
set_policy(_Member, _Prefix, _Settings) -> erlang:nif_error(not_loaded).

-spec remove_policy(handle(), binary()) -> ok | failed().
remove_policy(_Member, _Prefix) -> erlang:nif_error(not_loaded).

-spec policies(handle()) -> {ok, [{binary(), [{binary(), binary()}]}]} | failed().
policies(_Member) -> erlang:nif_error(not_loaded).

-spec ack(handle()) -> ok | failed().
ack(_Lease) -> erlang:nif_error(not_loaded).

-spec ack_many([handle()]) -> {ok, [non_neg_integer()]} | failed().
ack_many(_Leases) -> erlang:nif_error(not_loaded).

-spec reply(handle(), binary(), map()) -> ok | failed().
reply(_Lease, _Body, _Options) -> erlang:nif_error(not_loaded).

-spec nack(handle(), map()) -> ok | late() | failed().
nack(_Lease, _Options) -> erlang:nif_error(not_loaded).

-spec reject(handle(), binary()) -> ok | late() | failed().
reject(_Lease, _Reason) -> erlang:nif_error(not_loaded).

-spec release(handle()) -> ok | late() | failed().
release(_Lease) -> erlang:nif_error(not_loaded).

-spec extend(handle(), map()) -> ok | late() | failed().
extend(_Lease, _Options) -> erlang:nif_error(not_loaded).

-spec credit(handle(), non_neg_integer()) -> ok | failed().
credit(_Subscription, _More) -> erlang:nif_error(not_loaded).

-spec next(handle(), boolean()) ->
    {push, ok | failed()} | empty | {ok, primer:delivery()} | late() | failed().
next(_Stream, _Waits) -> erlang:nif_error(not_loaded).

-spec broadcast(handle(), binary(), binary()) -> ok | failed().
broadcast(_Member, _Topic, _Body) -> erlang:nif_error(not_loaded).

-spec on(handle(), binary()) -> {ok, handle()} | failed().
on(_Member, _Topic) -> erlang:nif_error(not_loaded).

-spec put(handle(), binary(), binary()) -> ok | failed().
put(_Member, _Key, _Value) -> erlang:nif_error(not_loaded).

-spec get(handle(), binary()) -> {ok, binary()} | undefined | failed().
get(_Member, _Key) -> erlang:nif_error(not_loaded).

-spec delete(handle(), binary()) -> ok | failed().
delete(_Member, _Key) -> erlang:nif_error(not_loaded).

-spec list(handle(), binary()) -> {ok, [primer:entry()]} | failed().
list(_Member, _Prefix) -> erlang:nif_error(not_loaded).

-spec watch(handle(), binary()) -> {ok, handle()}.
watch(_Member, _Prefix) -> erlang:nif_error(not_loaded).

-spec evict(handle(), binary()) -> ok | failed().
evict(_Member, _Id) -> erlang:nif_error(not_loaded).

-spec reclaim(handle(), boolean()) -> {ok, non_neg_integer()} | failed().
reclaim(_Member, _Keep) -> erlang:nif_error(not_loaded).

-spec rotate(handle(), [binary()]) -> ok | failed().
rotate(_Member, _Secrets) -> erlang:nif_error(not_loaded).

%% A handle that does not keep the member open.
-spec weak(handle()) -> handle().
weak(_Member) -> erlang:nif_error(not_loaded).

-spec strong(handle()) -> {ok, handle()} | undefined.
strong(_Weak) -> erlang:nif_error(not_loaded).

-spec await_later(handle(), reference()) -> later | ok | {ok, term()} | failed().
await_later(_Later, _Reference) -> erlang:nif_error(not_loaded).

-spec cancel_later(handle()) -> boolean().
cancel_later(_Later) -> erlang:nif_error(not_loaded).
