%% @doc Primer: a message queue that you embed. This VM is a full, equal member of one cluster.
%%
%% ```
%% {ok, _} = application:ensure_all_started(primer),
%% {ok, #{id := _}} = primer:enqueue(<<"emails">>, <<"hi">>),
%% {ok, [Message]} = primer:'receive'(<<"emails">>),
%% #{body := <<"hi">>} = Message,
%% ok = primer:ack(Message).
%% '''
%%
%% == Members and queues ==
%% A queue is given as its name (a binary, an atom or a string: the queue of that name at the default
%% member) or as what {@link queue/2} answered. The default member belongs to the application: its
%% options are the application's environment, `{primer, [{cluster, shop}, {seeds, ["127.0.0.1:7400"]}]}';
%% without any it is opened on first use, in memory. {@link open/1} opens further members.
%%
%% == Messages ==
%% A delivery is a map, `#{id, body, headers, attempts, queue, handle}'. Its handle is the lease: it
%% can be handed to another process, and when nobody holds it any more (a process died, or let go of
%% the delivery and collected its garbage) the message goes back at once, the attempt not counted. A
%% subscription also gives back everything unsettled when the process that subscribed dies.
%%
%% == Waiting ==
%% No call blocks a scheduler: a call whose answer is not here yet waits in a `receive'. A caller that
%% is killed meanwhile takes its demand back. All times are milliseconds.
%%
%% == Errors ==
%% `{error, {Hundred, Kind, Info}}'. The hundred says what to do: `wrong_call' mend the call,
%% `not_now' try again later (nothing happened), `in_doubt' retry if a duplicate is harmless,
%% `too_late' let it go, `member_down' stop or open again. `Info' holds the stable `number', the
%% `reason' and the values that matter, as binaries. A term that is no handle, or a body that is not
%% iodata, is the exception `badarg', as everywhere in OTP.
-module(primer).

-export([
    open/0, open/1, close/1, join/1, join/2, leave/0, leave/1, leave/2,
    address/0, address/1, members/0, members/1, stats/0, stats/1, events/0, events/1,
    queue/1, queue/2
]).
-export([
    enqueue/2, enqueue/3, enqueue_many/2, enqueue_many/3, 'receive'/1, 'receive'/2,
    ack/1, ack_many/1, nack/1, nack/2, release/1, extend/1, extend/2
]).
-export([subscribe/1, subscribe/2, next/1, next/2, take/2, credit/2]).

-export_type([
    handle/0, queue/0, name/0, delivery/0, lease/0, receipt/0, member/0, event/0, error/0,
    open_options/0, enqueue_options/0, receive_options/0, subscribe_options/0
]).

-type handle() :: reference().
%% A member, a queue, a subscription or a reader of events; opaque.
-type name() :: binary() | atom() | string().
-type queue() :: handle() | name().
-type text() :: binary() | string() | atom().
-type lease() :: reference().
-type delivery() :: #{
    id := binary(),
    body := binary(),
    headers := [{binary(), binary()}],
    attempts := pos_integer(),
    queue := binary(),
    handle := lease()
}.
-type receipt() :: #{
    id := binary(),
    copies := non_neg_integer(),
    durable_copies := non_neg_integer(),
    wanted := pos_integer()
}.
-type member() :: #{
    id := binary(),
    name := binary(),
    address := binary(),
    boot := binary(),
    is_self := boolean(),
    is_reachable := boolean()
}.
-type event() :: #{
    at_ms := non_neg_integer(),
    kind := joined | left | unreachable | reachable | conflict | takeover | atom(),
    member := binary(),
    name := binary(),
    detail := binary(),
    missed := non_neg_integer()
}.
-type error() :: {
    wrong_call | not_now | in_doubt | too_late | member_down,
    Kind :: atom(),
    #{number := pos_integer(), reason := binary(), atom() => binary() | pos_integer()}
}.
-type options() :: #{atom() => term()} | [{atom(), term()}].
-type open_options() :: options().
%% `cluster', `name', `listen' (an address or `none'), `seeds' (a list of addresses), `copies',
%% `on_short' (`degrade', `fail' or `wait'), `enqueue_timeout_ms', `lease_ms', `takeover_after_ms',
%% `memory_bytes_max', `body_bytes_max'.
-type enqueue_options() :: options().
%% `copies', `on_short', `timeout', `headers' (a map or pairs of binaries).
-type receive_options() :: options().
%% `max' (1), `wait' (0), `lease' (the member's default).
-type subscribe_options() :: options().
%% `credit' (64), `lease', `mode' (`push' or `pull').

%% Bodies up to this size are copied into the member; a larger one is shared with it.
-define(COPY_MAX, 4096).

%%% Members %%%

%% @equiv open([])
-spec open() -> {ok, handle()} | {error, error()}.
open() -> open([]).

%% @doc Opens a member; without options one in memory, without a socket. Waits until a seed answered,
%% at most two seconds. It closes with {@link close/1}, or when nothing refers to it any more.
-spec open(open_options()) -> {ok, handle()} | {error, error()}.
open(Options) when is_map(Options) ->
    open(maps:to_list(Options));
open(Options) ->
    case pairs(Options, []) of
        {ok, Pairs} ->
            case primer_nif:open(Pairs) of
                {ok, Member, Joined} ->
                    case answer(Joined) of
                        ok -> {ok, Member};
                        {error, _} = Error -> Error
                    end;
                {error, _} = Error ->
                    Error
            end;
        {error, _} = Error ->
            Error
    end.

%% @doc Closes a member (waiting calls answer 501; the cluster keeps it as a member that is away), a
%% subscription or a reader of events. What a subscription has in the caller's mailbox is released.
-spec close(handle()) -> ok | {error, error()}.
close(Handle) ->
    case primer_nif:close(Handle) of
        flush -> flush(Handle);
        Answer -> answer(Answer)
    end.

flush(Stream) ->
    receive
        {primer, Stream, #{handle := Lease}} ->
            _ = primer_nif:release(Lease),
            flush(Stream);
        {primer, Stream, _} ->
            flush(Stream)
    after 0 -> ok
    end.

%% @doc {@link join/2} of the default member.
-spec join(text()) -> ok | {error, error()}.
join(Address) -> default(fun(Member) -> join(Member, Address) end).

%% @doc Dials `Address' ("host:port") and joins its cluster. Errors: 101, 107, 108, 202, 302, 501.
-spec join(handle(), text()) -> ok | {error, error()}.
join(Member, Address) ->
    with(text(Address), fun(Text) -> answer(primer_nif:join(Member, Text)) end).

%% @equiv leave(#{})
-spec leave() -> ok | {error, error()}.
leave() -> leave(#{}).

%% @doc {@link leave/2}, of the default member or with default options.
-spec leave(handle() | options()) -> ok | {error, error()}.
leave(Member) when is_reference(Member) -> leave(Member, #{});
leave(Options) -> default(fun(Member) -> leave(Member, Options) end).

%% @doc Hands every copy over to other members and leaves the cluster; the member stays open, alone.
%% `drain' is how long that may take (30,000), `force' leaves even so. Errors: 205, 501.
-spec leave(handle(), options()) -> ok | {error, error()}.
leave(Member, Options) ->
    with(options(Options), fun(Map) -> answer(primer_nif:leave(Member, Map)) end).

%% @doc {@link address/1} of the default member.
-spec address() -> binary() | undefined | {error, error()}.
address() -> default(fun primer_nif:address/1).

%% @doc Where the member listens, `<<"127.0.0.1:port">>'; `undefined' when it does not.
-spec address(handle()) -> binary() | undefined.
address(Member) -> primer_nif:address(Member).

%% @doc {@link members/1} of the default member.
-spec members() -> {ok, [member()]} | {error, error()}.
members() -> default(fun primer_nif:members/1).

%% @doc The member set, this member included, in the order of their ids. Errors: 501.
-spec members(handle()) -> {ok, [member()]} | {error, error()}.
members(Member) -> primer_nif:members(Member).

%% @doc {@link stats/1} of the default member.
-spec stats() -> {ok, #{atom() => non_neg_integer()}} | {error, error()}.
stats() -> default(fun primer_nif:stats/1).

%% @doc Counters and gauges by stable names. Errors: 501.
-spec stats(handle()) -> {ok, #{atom() => non_neg_integer()}} | {error, error()}.
stats(Member) -> primer_nif:stats(Member).

%% @doc {@link events/1} of the default member.
-spec events() -> {ok, handle()} | {error, error()}.
events() -> default(fun primer_nif:events/1).

%% @doc Events from now on come to the calling process as `{primer, Events, Event}', and as the last
%% one `{primer, Events, {error, Error}}' when the member is closed. {@link close/1} ends them.
-spec events(handle()) -> {ok, handle()}.
events(Member) -> primer_nif:events(Member).

%% @doc The default member's queue of that name.
-spec queue(name()) -> {ok, handle()} | {error, error()}.
queue(Name) -> default(fun(Member) -> queue(Member, Name) end).

%% @doc The queue of that name; it need not exist, first use makes it. Errors: 101, 201, 501.
-spec queue(handle(), name()) -> {ok, handle()} | {error, error()}.
queue(Member, Name) ->
    with(text(Name), fun(Text) -> primer_nif:queue(Member, Text) end).

%%% Queues %%%

%% @doc Puts a message into the queue. Errors: 101, 104, 201, 202, 203, 301, 501.
-spec enqueue(queue(), iodata()) -> {ok, receipt()} | {error, error()}.
enqueue(Queue, Body) when is_reference(Queue) ->
    answer(primer_nif:enqueue(Queue, body(Body)));
enqueue(Name, Body) ->
    with(queue(Name), fun(Queue) -> enqueue(Queue, Body) end).

%% @doc The same with options: `copies' wanted (this member's included), `on_short' (what to do with
%% fewer: `degrade', `fail', `wait'), `timeout' (when that is decided), `headers'.
-spec enqueue(queue(), iodata(), enqueue_options()) -> {ok, receipt()} | {error, error()}.
enqueue(Queue, Body, Options) when is_reference(Queue) ->
    with(options(Options), fun(Map) -> answer(primer_nif:enqueue_with(Queue, body(Body), Map)) end);
enqueue(Name, Body, Options) ->
    with(queue(Name), fun(Queue) -> enqueue(Queue, Body, Options) end).

%% @equiv enqueue_many(Queue, Bodies, #{})
-spec enqueue_many(queue(), [iodata()]) -> {ok, [receipt()]} | {error, error()}.
enqueue_many(Queue, Bodies) -> enqueue_many(Queue, Bodies, #{}).

%% @doc Puts up to 4,096 messages into the queue, all or none; they share the options.
-spec enqueue_many(queue(), [iodata()], enqueue_options()) -> {ok, [receipt()]} | {error, error()}.
enqueue_many(Queue, Bodies, Options) when is_reference(Queue) ->
    with(options(Options), fun(Map) ->
        answer(primer_nif:enqueue_many(Queue, bodies(Bodies), Map))
    end);
enqueue_many(Name, Bodies, Options) ->
    with(queue(Name), fun(Queue) -> enqueue_many(Queue, Bodies, Options) end).

%% @doc Leases one message if there is one. An empty list is not an error. Errors: 501.
-spec 'receive'(queue()) -> {ok, [delivery()]} | {error, error()}.
'receive'(Queue) when is_reference(Queue) ->
    answer(primer_nif:'receive'(Queue));
'receive'(Name) ->
    with(queue(Name), fun(Queue) -> 'receive'(Queue) end).

%% @doc Leases up to `max' messages (1), waiting up to `wait' (0) for the first, for `lease' (the
%% member's default). Errors: 101, 501.
-spec 'receive'(queue(), receive_options()) -> {ok, [delivery()]} | {error, error()}.
'receive'(Queue, Options) when is_reference(Queue) ->
    with(options(Options), fun(Map) -> answer(primer_nif:receive_with(Queue, Map)) end);
'receive'(Name, Options) ->
    with(queue(Name), fun(Queue) -> 'receive'(Queue, Options) end).

%% @doc The message is finished. A late ack of an unfinished message succeeds. Errors: 402, 501.
-spec ack(delivery() | lease()) -> ok | {error, error()}.
ack(Delivery) -> primer_nif:ack(lease(Delivery)).

%% @doc Acks up to 4,096 deliveries of one member; one number each, 0 or the error's (402).
-spec ack_many([delivery() | lease()]) -> {ok, [non_neg_integer()]} | {error, error()}.
ack_many(Deliveries) -> primer_nif:ack_many([lease(Delivery) || Delivery <- Deliveries]).

%% @equiv nack(Delivery, #{})
-spec nack(delivery() | lease()) -> ok | {error, error()}.
nack(Delivery) -> nack(Delivery, #{}).

%% @doc The message failed: again after `delay' (default: 1 s, doubling with each attempt, 10 minutes
%% at most). Errors: 101, 202, 302, 401, 402, 501.
-spec nack(delivery() | lease(), options()) -> ok | {error, error()}.
nack(Delivery, Options) ->
    with(options(Options), fun(Map) -> answer(primer_nif:nack(lease(Delivery), Map)) end).

%% @doc The message was not tried: again at once, for anyone, the attempt not counted. Errors: as nack.
-spec release(delivery() | lease()) -> ok | {error, error()}.
release(Delivery) -> answer(primer_nif:release(lease(Delivery))).

%% @equiv extend(Delivery, #{})
-spec extend(delivery() | lease()) -> ok | {error, error()}.
extend(Delivery) -> extend(Delivery, #{}).

%% @doc The message needs `lease' from now on (default: the member's). Errors: as nack.
-spec extend(delivery() | lease(), options()) -> ok | {error, error()}.
extend(Delivery, Options) ->
    with(options(Options), fun(Map) -> answer(primer_nif:extend(lease(Delivery), Map)) end).

%%% Subscriptions %%%

%% @equiv subscribe(Queue, #{})
-spec subscribe(queue()) -> {ok, handle()} | {error, error()}.
subscribe(Queue) -> subscribe(Queue, #{}).

%% @doc Deliveries come to the calling process as `{primer, Subscription, Delivery}', at most `credit'
%% (64) of them unsettled; settling one makes room for the next. The last message is
%% `{primer, Subscription, {error, Error}}' when the member is closed. With `mode => pull' they are
%% asked for with {@link next/2} instead, by any process. When the subscribing process dies,
%% everything unsettled goes back at once. Errors: 101, 201, 501.
-spec subscribe(queue(), subscribe_options()) -> {ok, handle()} | {error, error()}.
subscribe(Queue, Options) when is_reference(Queue) ->
    with(options(Options), fun(Map) -> primer_nif:subscribe(Queue, Map) end);
subscribe(Name, Options) ->
    with(queue(Name), fun(Queue) -> subscribe(Queue, Options) end).

%% @equiv next(Stream, 0)
-spec next(handle()) -> {ok, delivery() | event()} | empty | {error, error()}.
next(Stream) -> next(Stream, 0).

%% @doc The next delivery of a subscription, or the next event of a reader, waiting up to `Wait' for
%% it. What comes as messages is taken from the mailbox, so only the process that subscribed can
%% ask. Errors: 501 when closed.
-spec next(handle(), timeout()) -> {ok, delivery() | event()} | empty | {error, error()}.
next(Stream, Wait) ->
    case primer_nif:next(Stream, Wait =/= 0) of
        {push, ok} -> mailed(Stream, Wait, empty);
        {push, Error} -> mailed(Stream, 0, Error);
        {later, Later} -> await(Later, Wait);
        Answer -> Answer
    end.

mailed(Stream, Wait, Nothing) ->
    receive
        {primer, Stream, {error, _} = Error} -> Error;
        {primer, Stream, What} -> {ok, What}
    after Wait -> Nothing
    end.

%% @doc Up to `Max' events (or pushed deliveries) that are in the mailbox already.
-spec take(handle(), non_neg_integer()) -> {ok, [delivery() | event()]}.
take(_Stream, 0) ->
    {ok, []};
take(Stream, Max) when is_integer(Max), Max > 0 ->
    receive
        {primer, Stream, What} when is_map(What) ->
            {ok, Rest} = take(Stream, Max - 1),
            {ok, [What | Rest]}
    after 0 -> {ok, []}
    end.

%% @doc Raises the number of unsettled deliveries by `More'. Errors: 101, 501.
-spec credit(handle(), non_neg_integer()) -> ok | {error, error()}.
credit(Subscription, More) -> primer_nif:credit(Subscription, More).

%%% Answers %%%

answer({later, Later}) -> await(Later);
answer(Answer) -> Answer.

%% Primer answers every ticket, also with 501, so this wait needs no limit of its own.
await(Later) ->
    Reference = make_ref(),
    case primer_nif:await_later(Later, Reference) of
        later ->
            receive
                {primer, Reference, Result} -> Result
            end;
        Result ->
            Result
    end.

await(Later, Wait) ->
    Reference = make_ref(),
    case primer_nif:await_later(Later, Reference) of
        later ->
            receive
                {primer, Reference, Result} -> Result
            after Wait ->
                case primer_nif:cancel_later(Later) of
                    true ->
                        empty;
                    false ->
                        receive
                            {primer, Reference, Result} -> Result
                        end
                end
            end;
        Result ->
            Result
    end.

%%% Arguments %%%

with({ok, Value}, Next) -> Next(Value);
with({error, _} = Error, _Next) -> Error.

default(Verb) ->
    case primer_default:member() of
        {ok, Member} -> Verb(Member);
        {error, _} = Error -> Error
    end.

lease(#{handle := Lease}) -> Lease;
lease(Lease) -> Lease.

body(Body) when is_binary(Body), byte_size(Body) =< ?COPY_MAX ->
    Body;
body(Body) when is_binary(Body) ->
    %% It will be shared: a small part of a large binary would keep all of it.
    case binary:referenced_byte_size(Body) > 2 * byte_size(Body) of
        true -> binary:copy(Body);
        false -> Body
    end;
body(Body) ->
    %% Flattened here because this function gives way to other processes, however long the list.
    iolist_to_binary(Body).

%% Mostly they are as they should be: then the list is passed on as it is.
bodies(Bodies) ->
    case are_small_binaries(Bodies) of
        true -> Bodies;
        false -> [body(Body) || Body <- Bodies]
    end.

are_small_binaries([Body | Bodies]) when is_binary(Body), byte_size(Body) =< ?COPY_MAX ->
    are_small_binaries(Bodies);
are_small_binaries(Rest) ->
    Rest =:= [].

options(Options) when is_map(Options) ->
    {ok, Options};
options(Options) ->
    try
        {ok, maps:from_list(Options)}
    catch
        error:_ -> wrong(<<"options are a map or a list of pairs">>, #{})
    end.

text(Text) when is_binary(Text) ->
    case unicode:characters_to_binary(Text) of
        Text -> {ok, Text};
        _ -> wrong(<<"a text is not UTF-8">>, #{})
    end;
text(Text) when is_atom(Text) ->
    {ok, atom_to_binary(Text)};
text(Text) ->
    try unicode:characters_to_binary(Text) of
        Binary when is_binary(Binary) -> {ok, Binary};
        _ -> wrong(<<"a text is not UTF-8">>, #{})
    catch
        error:_ -> wrong(<<"a text is a binary, an atom or a string">>, #{})
    end.

%% The pairs of strings that the member's options are made of.
pairs([{Key, Value} | Rest], Pairs) ->
    with(text(Key), fun(Name) ->
        case value(Value) of
            {ok, Text} -> pairs(Rest, [{Name, Text} | Pairs]);
            {error, {Hundred, Kind, Info}} -> {error, {Hundred, Kind, Info#{option => Name}}}
        end
    end);
pairs([], Pairs) ->
    {ok, lists:reverse(Pairs)};
pairs(_, _) ->
    wrong(<<"options are a map or a list of pairs">>, #{}).

value(Value) when is_integer(Value) ->
    {ok, integer_to_binary(Value)};
value([First | _] = Values) when not is_integer(First) ->
    join_texts(Values, []);
value(Value) ->
    text(Value).

join_texts([Value | Rest], Texts) ->
    with(text(Value), fun(Text) -> join_texts(Rest, [Text | Texts]) end);
join_texts([], Texts) ->
    {ok, iolist_to_binary(lists:join(<<",">>, lists:reverse(Texts)))};
join_texts(_, _) ->
    wrong(<<"a list does not end">>, #{}).

wrong(Reason, Info) ->
    {error, {wrong_call, invalid_argument, Info#{number => 101, reason => Reason}}}.
