%% @private The NIF's functions and nothing else, so that the module never has a reason to change:
%% a native library cannot be upgraded in a running VM, everything above it can.
-module(primer_nif).

-export([
    open/1, join/2, leave/2, close/1, is_closed/1, address/1, members/1, stats/1, events/1,
    queue/2, enqueue/2, enqueue_with/3, enqueue_many/3, 'receive'/1, receive_with/2, subscribe/2,
    ack/1, ack_many/1, nack/2, release/1, extend/2,
    credit/2, next/2,
    await_later/2, cancel_later/1
]).

-on_load(load/0).

-type handle() :: reference().
-type late() :: {later, handle()}.
-type failed() :: {error, primer:error()}.

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

-spec is_closed(handle()) -> boolean().
is_closed(_Member) -> erlang:nif_error(not_loaded).

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

-spec enqueue_many(handle(), [binary()], map()) -> {ok, [primer:receipt()]} | late() | failed().
enqueue_many(_Queue, _Bodies, _Options) -> erlang:nif_error(not_loaded).

-spec 'receive'(handle()) -> {ok, [primer:delivery()]} | late() | failed().
'receive'(_Queue) -> erlang:nif_error(not_loaded).

-spec receive_with(handle(), map()) -> {ok, [primer:delivery()]} | late() | failed().
receive_with(_Queue, _Options) -> erlang:nif_error(not_loaded).

-spec subscribe(handle(), map()) -> {ok, handle()} | failed().
subscribe(_Queue, _Options) -> erlang:nif_error(not_loaded).

-spec ack(handle()) -> ok | failed().
ack(_Lease) -> erlang:nif_error(not_loaded).

-spec ack_many([handle()]) -> {ok, [non_neg_integer()]} | failed().
ack_many(_Leases) -> erlang:nif_error(not_loaded).

-spec nack(handle(), map()) -> ok | late() | failed().
nack(_Lease, _Options) -> erlang:nif_error(not_loaded).

-spec release(handle()) -> ok | late() | failed().
release(_Lease) -> erlang:nif_error(not_loaded).

-spec extend(handle(), map()) -> ok | late() | failed().
extend(_Lease, _Options) -> erlang:nif_error(not_loaded).

-spec credit(handle(), non_neg_integer()) -> ok | failed().
credit(_Subscription, _More) -> erlang:nif_error(not_loaded).

-spec next(handle(), boolean()) ->
    {push, ok | failed()} | empty | {ok, primer:delivery()} | late() | failed().
next(_Stream, _Waits) -> erlang:nif_error(not_loaded).

-spec await_later(handle(), reference()) -> later | ok | {ok, term()} | failed().
await_later(_Later, _Reference) -> erlang:nif_error(not_loaded).

-spec cancel_later(handle()) -> boolean().
cancel_later(_Later) -> erlang:nif_error(not_loaded).
