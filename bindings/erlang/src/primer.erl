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
%% A delivery is a map, `#{id, body, headers, attempts, key, priority, queue, handle}'. Its handle is the lease: it
%% can be handed to another process, and when nobody holds it any more (a process died, or let go of
%% the delivery and collected its garbage) the message goes back at once, the attempt not counted. A
%% subscription also gives back everything unsettled when the process that subscribed dies.
%%
%% == Waiting ==
%% No call blocks a scheduler: a call whose answer is not here yet waits in a `receive'. A caller that
%% is killed meanwhile takes its demand back. All times are milliseconds.
%%
%% == Errors ==
%% `{error, {Hundred, Kind, Info}}'. The hundred says what to do: `wrong_call' mend the call, `not_now' try again
%% later (nothing happened), `in_doubt' retry with a `dedup', or if a duplicate is harmless, `too_late' let it go,
%% `member_down' stop or open again. `Info' holds the stable `number', the `reason' and the values that matter, as
%% binaries. A term that is no handle, or a body that is not iodata, is the exception `badarg', as everywhere in OTP.
-module(primer).

-export([
    open/0, open/1, close/1, join/1, join/2, leave/0, leave/1, leave/2,
    address/0, address/1, members/0, members/1, explain/1, explain/2, stats/0, stats/1, events/0, events/1,
    queue/1, queue/2
]).
-export([
    enqueue/2, enqueue/3, enqueue_many/2, enqueue_many/3, call/2, call/3, browse/1, browse/2, redrive/1, redrive/2, doctor/1, 'receive'/1, 'receive'/2,
    ack/1, ack_many/1, reply/2, reply/3, nack/1, nack/2, reject/2, release/1, extend/1, extend/2
]).
-export([subscribe/1, subscribe/2, next/1, next/2, take/2, credit/2]).
-export([create_group/2, create_group/3, remove_group/2, groups/1]).
-export([
    configure/2, configuration/1, pause/1, pause/2, resume/1, purge/1,
    set_policy/2, set_policy/3, remove_policy/1, remove_policy/2, policies/0, policies/1
]).
-export([
    broadcast/2, broadcast/3, on/1, on/2,
    put/2, put/3, get/1, get/2, delete/1, delete/2, list/1, list/2, watch/1, watch/2,
    evict/1, evict/2, reclaim/1, reclaim/2, rotate/1, rotate/2
]).
%% The verbs of those names have nothing to do with a process's dictionary.
-compile({no_auto_import, [get/1, put/2]}).
-import(primer_later, [answer/1, await/2]).
-import(primer_options, [body/1, bodies/1]).

-export_type([
    handle/0, queue/0, name/0, delivery/0, lease/0, receipt/0, reply/0, page/0, browsed/0, explanation/0, account/0, redriven/0, diagnosis/0, finding/0, facts/0, member/0, error/0,
    event/0, broadcast/0, change/0, entry/0, news/0, settings/0,
    open_options/0, enqueue_options/0, browse_options/0, redrive_options/0, receive_options/0, subscribe_options/0
]).

-include("primer_types.hrl").

%%% Members %%%

%% @equiv open([])
-spec open() -> {ok, handle()} | {error, error()}.
open() -> open([]).

%% @doc Opens a member; without options one in memory, without a socket. Waits until a seed answered,
%% at most two seconds. It closes with {@link close/1}, or when nothing refers to it any more.
%% `discover => nodes' finds the members of the cluster in the connected Erlang nodes ({@link primer_nodes}),
%% and needs the application.
-spec open(open_options()) -> {ok, handle()} | {error, error()}.
open(Options) ->
    with(primer_options:pairs(Options), fun(Pairs) -> primer_nodes:open(Pairs, fun start/1) end).

start(Pairs) ->
    case primer_nif:open(Pairs) of
        {ok, Member, Joined} ->
            case answer(Joined) of
                ok -> {ok, Member};
                {error, _} = Error -> Error
            end;
        {error, _} = Error ->
            Error
    end.

%% @doc Closes a member (waiting calls answer 501; the cluster keeps it as a member that is away), a
%% subscription or a reader of news. What a subscription has in the caller's mailbox is released; another
%% process that waits for it gets `{primer, Handle, {error, Error}}' with 501 as the last message.
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
    with(primer_options:text(Address), fun(Text) -> answer(primer_nif:join(Member, Text)) end).

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
    with(primer_options:map(Options), fun(Map) ->
        primer_nodes:leave(Member, fun() -> answer(primer_nif:leave(Member, Map)) end)
    end).

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

%% @doc {@link explain/2} of the default member.
-spec explain(text()) -> {ok, explanation()} | {error, error()}.
explain(Id) -> default(fun(Member) -> explain(Member, Id) end).

%% @doc What every member that answers within two seconds knows of a message, by its id: who owns it and what it does
%% there, who has a copy, who remembers its end; in each group, and with its dead letter. Errors: 101, 203, 501.
-spec explain(handle(), text()) -> {ok, explanation()} | {error, error()}.
explain(Member, Id) ->
    with(primer_options:text(Id), fun(Text) -> answer(primer_nif:explain(Member, Text)) end).

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
    with(primer_options:text(Name), fun(Text) -> primer_nif:queue(Member, Text) end).

%%% Queues %%%

%% @doc Puts a message into the queue. Errors: 101, 102 (`if_no_group'), 104, 201, 202, 203, 204, 301, 302 (another
%% member was to take it and did not answer: it may have happened), 501.
-spec enqueue(queue(), iodata()) -> {ok, receipt()} | {error, error()}.
enqueue(Queue, Body) when is_reference(Queue) ->
    answer(primer_nif:enqueue(Queue, body(Body)));
enqueue(Name, Body) -> with(queue(Name), fun(Queue) -> enqueue(Queue, Body) end).

%% @doc The same with options: `copies' wanted (this member's included), `on_short' (what to do with fewer:
%% `degrade', `fail', `wait'), `timeout' (when that is decided), `headers'. It is given out in the order of its
%% `priority', 0 (last) to 9 (first; 4), only after a `delay' or `at' a date (in ms since 1970), and not after its
%% `ttl'; after `max_attempts' it is a dead letter, in the queue `<queue>.dead'. With `at_most_once' it is finished
%% when it is given out: one copy, never repeated, lost with its member. `if_no_group' says what becomes of it where the
%% queue has no group: `hold' (it waits there), `drop' (the receipt says 0 copies), `refuse' (102). Messages of one `key'
%% are given out in line. Within `dedup_window' (300,000) those with the same `dedup' are one, and the receipt is
%% `is_duplicate': one message a call, not in a `call', not with `at_most_once'.
-spec enqueue(queue(), iodata(), enqueue_options()) -> {ok, receipt()} | {error, error()}.
enqueue(Queue, Body, Options) when is_reference(Queue) ->
    with(primer_options:map(Options), fun(Map) -> answer(primer_nif:enqueue_with(Queue, body(Body), Map)) end);
enqueue(Name, Body, Options) -> with(queue(Name), fun(Queue) -> enqueue(Queue, Body, Options) end).

%% @equiv enqueue_many(Queue, Bodies, #{})
-spec enqueue_many(queue(), [iodata()]) -> {ok, [receipt()]} | {error, error()}.
enqueue_many(Queue, Bodies) -> enqueue_many(Queue, Bodies, #{}).

%% @doc Puts up to 4,096 messages into the queue, all or none; they share the options.
-spec enqueue_many(queue(), [iodata()], enqueue_options()) -> {ok, [receipt()]} | {error, error()}.
enqueue_many(Queue, Bodies, Options) when is_reference(Queue) ->
    with(primer_options:map(Options), fun(Map) ->
        primer_batch:receipts(answer(primer_nif:enqueue_many(Queue, bodies(Bodies), Map)))
    end);
enqueue_many(Name, Bodies, Options) -> with(queue(Name), fun(Queue) -> enqueue_many(Queue, Bodies, Options) end).

%% @equiv call(Queue, Body, #{})
-spec call(queue(), iodata()) -> {ok, reply()} | {error, error()}.
call(Queue, Body) -> call(Queue, Body, #{}).

%% @doc Puts a message into the queue and waits up to `timeout' (30,000) for the reply of whoever handles it,
%% in any language. The other options are those of {@link enqueue/3}; without a `ttl' it expires with the timeout.
%% A caller that is killed waits no longer. Errors: as enqueue, 302 when no reply came in time (it may still be handled).
-spec call(queue(), iodata(), enqueue_options()) -> {ok, reply()} | {error, error()}.
call(Queue, Body, Options) when is_reference(Queue) ->
    with(primer_options:map(Options), fun(Map) -> answer(primer_nif:call(Queue, body(Body), Map)) end);
call(Name, Body, Options) -> with(queue(Name), fun(Queue) -> call(Queue, Body, Options) end).

%% @equiv browse(Queue, #{})
-spec browse(queue()) -> {ok, page()} | {error, error()}.
browse(Queue) -> browse(Queue, #{}).

%% @doc Looks at messages without taking them, at every member that answers within `timeout' (2,000): those
%% in one of the `states', with all of the `headers', of the `group' (one that does not exist is not created), up to
%% `max' (100) on a page, with up to `body_bytes_max' (65,536) of each body. The next page is the one `after' this
%% one's cursor; the last page has none, and one that has may be shorter than `max'. Errors: 101, 203, 501.
-spec browse(queue(), browse_options()) -> {ok, page()} | {error, error()}.
browse(Queue, Options) when is_reference(Queue) ->
    with(primer_options:consuming(Options), fun(Map) -> answer(primer_nif:browse(Queue, Map)) end);
browse(Name, Options) -> with(queue(Name), fun(Queue) -> browse(Queue, Options) end).

%% @equiv redrive(Queue, #{})
-spec redrive(queue()) -> {ok, redriven()} | {error, error()}.
redrive(Queue) -> redrive(Queue, #{}).

%% @doc Moves dead letters back to where they came from, at every member that answers in time: each to the group that
%% it was in, its attempts beginning anew; with `to', messages of any queue to that one. Errors: 101, 203, 501.
-spec redrive(queue(), redrive_options()) -> {ok, redriven()} | {error, error()}.
redrive(Queue, Options) when is_reference(Queue) ->
    with(primer_options:redriving(Options), fun(Map) -> answer(primer_nif:redrive(Queue, Map)) end);
redrive(Name, Options) -> with(queue(Name), fun(Queue) -> redrive(Queue, Options) end).

%% @doc Why nothing is delivered: what every member that answers within two seconds knows, and what follows. Errors: 203, 501.
-spec doctor(queue()) -> {ok, diagnosis()} | {error, error()}.
doctor(Queue) when is_reference(Queue) -> answer(primer_nif:doctor(Queue));
doctor(Name) -> with(queue(Name), fun(Queue) -> doctor(Queue) end).

%% @doc Leases one message if there is one. An empty list is not an error. Errors: 501.
-spec 'receive'(queue()) -> {ok, [delivery()]} | {error, error()}.
'receive'(Queue) when is_reference(Queue) ->
    primer_batch:deliveries(answer(primer_nif:'receive'(Queue)));
'receive'(Name) -> with(queue(Name), fun(Queue) -> 'receive'(Queue) end).

%% @doc Leases up to `max' messages (1), waiting up to `wait' (0) for the first, for `lease' (the
%% queue's setting, else the member's default), in a `group', with its `backlog', as {@link subscribe/2}. Errors: 101, 201, 203, 501.
-spec 'receive'(queue(), receive_options()) -> {ok, [delivery()]} | {error, error()}.
'receive'(Queue, Options) when is_reference(Queue) ->
    with(primer_options:consuming(Options), fun(Map) ->
        primer_batch:deliveries(answer(primer_nif:receive_with(Queue, Map)))
    end);
'receive'(Name, Options) -> with(queue(Name), fun(Queue) -> 'receive'(Queue, Options) end).

%% @doc The message is finished. A late ack of an unfinished message succeeds. Errors: 402, 501.
-spec ack(delivery() | lease()) -> ok | {error, error()}.
ack(Delivery) -> primer_nif:ack(lease(Delivery)).

%% @doc Acks up to 4,096 deliveries of one member; one number each, 0 or the error's (402). Errors: 101, 104, 501.
-spec ack_many([delivery() | lease()]) -> {ok, [non_neg_integer()]} | {error, error()}.
ack_many(Deliveries) -> primer_nif:ack_many([lease(Delivery) || Delivery <- Deliveries]).

%% @equiv reply(Delivery, Body, #{})
-spec reply(delivery() | lease(), iodata()) -> ok | {error, error()}.
reply(Delivery, Body) -> reply(Delivery, Body, #{}).

%% @doc Replies to whoever waits for this message's reply (see {@link call/3}), with `headers', then acks it.
%% Best effort: a caller that is gone, gave up or has a reply already is no error. Errors: 101 for a message that
%% asks for no reply, 104, 203 (again later), 402, 501.
-spec reply(delivery() | lease(), iodata(), options()) -> ok | {error, error()}.
reply(Delivery, Body, Options) ->
    with(primer_options:map(Options), fun(Map) -> primer_nif:reply(lease(Delivery), body(Body), Map) end).

%% @equiv nack(Delivery, #{})
-spec nack(delivery() | lease()) -> ok | {error, error()}.
nack(Delivery) -> nack(Delivery, #{}).

%% @doc The message failed: again after `delay' (default: 1 s, doubling with each attempt, 10 minutes
%% at most, unless `backoff_ms' and `backoff_ms_max' are set). Errors: 101, 202, 302, 401, 402, 501.
-spec nack(delivery() | lease(), options()) -> ok | {error, error()}.
nack(Delivery, Options) ->
    with(primer_options:map(Options), fun(Map) -> answer(primer_nif:nack(lease(Delivery), Map)) end).

%% @doc The message can never succeed: it goes to the queue `<queue>.dead' at once, with the reason (of which
%% 512 bytes are kept) in its headers. Errors: as nack.
-spec reject(delivery() | lease(), text()) -> ok | {error, error()}.
reject(Delivery, Reason) ->
    with(primer_options:text(Reason), fun(Text) -> answer(primer_nif:reject(lease(Delivery), Text)) end).

%% @doc The message was not tried: again at once, for anyone, the attempt not counted. Errors: as nack.
-spec release(delivery() | lease()) -> ok | {error, error()}.
release(Delivery) -> answer(primer_nif:release(lease(Delivery))).

%% @equiv extend(Delivery, #{})
-spec extend(delivery() | lease()) -> ok | {error, error()}.
extend(Delivery) -> extend(Delivery, #{}).

%% @doc The message needs `lease' from now on (default: the queue's setting, else the member's). Errors: as nack.
-spec extend(delivery() | lease(), options()) -> ok | {error, error()}.
extend(Delivery, Options) ->
    with(primer_options:map(Options), fun(Map) -> answer(primer_nif:extend(lease(Delivery), Map)) end).

%%% Subscriptions %%%

%% @equiv subscribe(Queue, #{})
-spec subscribe(queue()) -> {ok, handle()} | {error, error()}.
subscribe(Queue) -> subscribe(Queue, #{}).

%% @doc Deliveries come to the calling process as `{primer, Subscription, Delivery}', at most `credit'
%% (64) of them unsettled; settling one makes room for the next. The last message is
%% `{primer, Subscription, {error, Error}}' when the member is closed. With `mode => pull' they are
%% asked for with {@link next/2} instead, by any process. When the subscribing process dies,
%% everything unsettled goes back at once. In a `group' its consumers share what comes to it; one that does
%% not exist is created, with `backlog' as {@link create_group/3} says. Errors: 101, 201, 203, 501.
-spec subscribe(queue(), subscribe_options()) -> {ok, handle()} | {error, error()}.
subscribe(Queue, Options) when is_reference(Queue) ->
    with(primer_options:consuming(Options), fun(Map) -> primer_nif:subscribe(Queue, Map) end);
subscribe(Name, Options) -> with(queue(Name), fun(Queue) -> subscribe(Queue, Options) end).

%% @equiv next(Stream, 0)
-spec next(handle()) -> {ok, delivery() | news()} | empty | {error, error()}.
next(Stream) -> next(Stream, 0).

%% @doc The next delivery of a subscription, or what a reader hears next, waiting up to `Wait' for
%% it. What comes as messages is taken from the mailbox, so only the process that subscribed can
%% ask. Errors: 501 when closed.
-spec next(handle(), timeout()) -> {ok, delivery() | news()} | empty | {error, error()}.
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

%% @doc Up to `Max' pieces of news (or pushed deliveries) that are in the mailbox already.
-spec take(handle(), non_neg_integer()) -> {ok, [delivery() | news()]}.
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

%%% Groups %%%

%% @equiv create_group(Queue, Group, #{})
-spec create_group(queue(), text()) -> ok | {error, error()}.
create_group(Queue, Group) -> create_group(Queue, Group, #{}).

%% @doc Creates a named group: from now on each message goes to every group once. With `backlog => true' it gets
%% what waits in the queue, too. One that exists stays. Errors: 101, 201, 203, 501.
-spec create_group(queue(), text(), options()) -> ok | {error, error()}.
create_group(Queue, Group, Options) when is_reference(Queue) ->
    with(primer_options:text(Group), fun(Name) ->
        with(primer_options:map(Options), fun(Map) -> primer_nif:create_group(Queue, Name, Map) end)
    end);
create_group(Name, Group, Options) -> with(queue(Name), fun(Queue) -> create_group(Queue, Group, Options) end).

%% @doc Removes a group with what it was still owed; one that is not there is no error. Errors: 101, 203, 501.
-spec remove_group(queue(), text()) -> ok | {error, error()}.
remove_group(Queue, Group) when is_reference(Queue) ->
    with(primer_options:text(Group), fun(Name) -> primer_nif:remove_group(Queue, Name) end);
remove_group(Name, Group) ->
    with(queue(Name), fun(Queue) -> remove_group(Queue, Group) end).

%% @doc The names of the queue's groups as this member knows them, ascending. Errors: 501.
-spec groups(queue()) -> {ok, [binary()]} | {error, error()}.
groups(Queue) when is_reference(Queue) -> primer_nif:groups(Queue);
groups(Name) -> with(queue(Name), fun groups/1).

%%% Settings %%%

%% @doc Changes the queue's settings, for the whole cluster: here at once, elsewhere soon. They hold where a message
%% or a call does not say. Those that are not named stay, `undefined' unsets one. Errors: 101, 104, 201, 203, 501.
-spec configure(queue(), settings()) -> ok | {error, error()}.
configure(Queue, Settings) when is_reference(Queue) ->
    with(primer_options:settings(Settings), fun(Pairs) -> primer_nif:configure(Queue, Pairs) end);
configure(Name, Settings) ->
    with(queue(Name), fun(Queue) -> configure(Queue, Settings) end).

%% @doc The settings that hold for the queue: its own, and for what it does not set those of the longest policy that
%% its name begins with. Errors: 501.
-spec configuration(queue()) -> {ok, settings()} | {error, error()}.
configuration(Queue) when is_reference(Queue) ->
    with(primer_nif:configuration(Queue), fun(Pairs) -> {ok, primer_options:settings_map(Pairs)} end);
configuration(Name) ->
    with(queue(Name), fun configuration/1).

%% @equiv pause(Queue, both)
-spec pause(queue()) -> ok | {error, error()}.
pause(Queue) -> pause(Queue, both).

%% @doc Stops the queue for the whole cluster: `in' for producers, who get 204; `out' for consumers, who get nothing
%% more but keep what they have; or `both'. Errors: 101, 201, 203, 501.
-spec pause(queue(), in | out | both) -> ok | {error, error()}.
pause(Queue, Direction) when is_reference(Queue) ->
    with(primer_options:text(Direction), fun(Word) -> primer_nif:pause(Queue, Word) end);
pause(Name, Direction) ->
    with(queue(Name), fun(Queue) -> pause(Queue, Direction) end).

%% @doc The queue goes on, in both directions. Errors: 201, 203, 501.
-spec resume(queue()) -> ok | {error, error()}.
resume(Queue) when is_reference(Queue) -> primer_nif:resume(Queue);
resume(Name) -> with(queue(Name), fun resume/1).

%% @doc Ends everything that is in the queue and its groups by now, on every member, also what consumers have: their
%% acks get 402. Errors: 201, 203, 501.
-spec purge(queue()) -> ok | {error, error()}.
purge(Queue) when is_reference(Queue) -> primer_nif:purge(Queue);
purge(Name) -> with(queue(Name), fun purge/1).

%% @doc {@link set_policy/3} of the default member.
-spec set_policy(text(), settings()) -> ok | {error, error()}.
set_policy(Prefix, Settings) -> default(fun(Member) -> set_policy(Member, Prefix, Settings) end).

%% @doc Settings for every queue whose name begins with the prefix, `""' for all, in place of those before. The longest
%% prefix counts, whole; a queue's own settings are above it. Errors: 101, 104, 201, 203, 501.
-spec set_policy(handle(), text(), settings()) -> ok | {error, error()}.
set_policy(Member, Prefix, Settings) ->
    with(primer_options:text(Prefix), fun(Text) ->
        with(primer_options:settings(Settings), fun(Pairs) -> primer_nif:set_policy(Member, Text, Pairs) end)
    end).

%% @doc {@link remove_policy/2} of the default member.
-spec remove_policy(text()) -> ok | {error, error()}.
remove_policy(Prefix) -> default(fun(Member) -> remove_policy(Member, Prefix) end).

%% @doc Removes a policy; one that is not there is no error. Errors: 101, 203, 501.
-spec remove_policy(handle(), text()) -> ok | {error, error()}.
remove_policy(Member, Prefix) ->
    with(primer_options:text(Prefix), fun(Text) -> primer_nif:remove_policy(Member, Text) end).

%% @doc {@link policies/1} of the default member.
-spec policies() -> {ok, #{binary() => settings()}} | {error, error()}.
policies() -> default(fun policies/1).

%% @doc The policies as this member knows them, by their prefixes. Errors: 501.
-spec policies(handle()) -> {ok, #{binary() => settings()}} | {error, error()}.
policies(Member) ->
    with(primer_nif:policies(Member), fun(Rows) ->
        {ok, maps:from_list([{Prefix, primer_options:settings_map(Pairs)} || {Prefix, Pairs} <- Rows])}
    end).

%%% Topics %%%

%% @doc {@link broadcast/3} of the default member.
-spec broadcast(text(), iodata()) -> ok | {error, error()}.
broadcast(Topic, Body) -> default(fun(Member) -> broadcast(Member, Topic, Body) end).

%% @doc Tells everyone in the cluster who listens to the topic, this member included: at once, best effort;
%% nothing is stored and nobody answers. Up to 64 KiB. Errors: 101, 104, 203, 501.
-spec broadcast(handle(), text(), iodata()) -> ok | {error, error()}.
broadcast(Member, Topic, Body) ->
    with(primer_options:text(Topic), fun(Text) -> primer_nif:broadcast(Member, Text, body(Body)) end).

%% @doc {@link on/2} of the default member.
-spec on(text()) -> {ok, handle()} | {error, error()}.
on(Topic) -> default(fun(Member) -> on(Member, Topic) end).

%% @doc What is broadcast to the topic from now on comes to the calling process as
%% `{primer, Reader, #{topic, from, body}}', as events do. Nothing holds it back: a process that is slower
%% than the topic has a mailbox that grows. Errors: 101.
-spec on(handle(), text()) -> {ok, handle()} | {error, error()}.
on(Member, Topic) ->
    with(primer_options:text(Topic), fun(Text) -> primer_nif:on(Member, Text) end).

%%% Keys %%%

%% @doc {@link put/3} of the default member.
-spec put(text(), iodata()) -> ok | {error, error()}.
put(Key, Value) -> default(fun(Member) -> put(Member, Key, Value) end).

%% @doc Writes a key for the whole cluster: here at once, elsewhere soon. Of two writes that did not know
%% of each other the later one is read, and the other can be listed. Up to 64 KiB.
%% Errors: 101, 104, 201, 203, 501.
-spec put(handle(), text(), iodata()) -> ok | {error, error()}.
put(Member, Key, Value) ->
    with(primer_options:text(Key), fun(Text) -> primer_nif:put(Member, Text, body(Value)) end).

%% @doc {@link get/2} of the default member.
-spec get(text()) -> {ok, binary()} | undefined | {error, error()}.
get(Key) -> default(fun(Member) -> get(Member, Key) end).

%% @doc What is under the key as this member knows it. Errors: 501.
-spec get(handle(), text()) -> {ok, binary()} | undefined | {error, error()}.
get(Member, Key) ->
    with(primer_options:text(Key), fun(Text) -> primer_nif:get(Member, Text) end).

%% @doc {@link delete/2} of the default member.
-spec delete(text()) -> ok | {error, error()}.
delete(Key) -> default(fun(Member) -> delete(Member, Key) end).

%% @doc Removes a key for the whole cluster; one that is not there is no error. Errors: 101, 203, 501.
-spec delete(handle(), text()) -> ok | {error, error()}.
delete(Member, Key) ->
    with(primer_options:text(Key), fun(Text) -> primer_nif:delete(Member, Text) end).

%% @doc {@link list/2} of the default member.
-spec list(text()) -> {ok, [entry()]} | {error, error()}.
list(Prefix) -> default(fun(Member) -> list(Member, Prefix) end).

%% @doc The keys that begin with the prefix, ascending, with their values. Errors: 501.
-spec list(handle(), text()) -> {ok, [entry()]} | {error, error()}.
list(Member, Prefix) ->
    with(primer_options:text(Prefix), fun(Text) -> primer_nif:list(Member, Text) end).

%% @doc {@link watch/2} of the default member.
-spec watch(text()) -> {ok, handle()} | {error, error()}.
watch(Prefix) -> default(fun(Member) -> watch(Member, Prefix) end).

%% @doc Changes of the keys that begin with the prefix come to the calling process from now on, as
%% `{primer, Reader, #{key, value}}', as events do. Errors: 101 for what is no text.
-spec watch(handle(), text()) -> {ok, handle()} | {error, error()}.
watch(Member, Prefix) ->
    with(primer_options:text(Prefix), fun(Text) -> primer_nif:watch(Member, Text) end).

%%% Who may be a member %%%

%% @doc {@link evict/2} of the default member.
-spec evict(text()) -> ok | {error, error()}.
evict(Id) -> default(fun(Member) -> evict(Member, Id) end).

%% @doc Takes a member out of the set for good, by its id: for one that will not come back, or must not. It
%% deletes nothing; what it holds is set aside there. Errors: 101, 102, 501.
-spec evict(handle(), text()) -> ok | {error, error()}.
evict(Member, Id) ->
    with(primer_options:text(Id), fun(Text) -> primer_nif:evict(Member, Text) end).

%% @doc {@link reclaim/2} of the default member.
-spec reclaim(boolean()) -> {ok, non_neg_integer()} | {error, error()}.
reclaim(Keep) -> default(fun(Member) -> reclaim(Member, Keep) end).

%% @doc After this member was evicted: gives the messages that it set aside out again, or drops them;
%% answers how many. Errors: 501.
-spec reclaim(handle(), boolean()) -> {ok, non_neg_integer()} | {error, error()}.
reclaim(Member, Keep) -> primer_nif:reclaim(Member, Keep).

%% @doc {@link rotate/2} of the default member.
-spec rotate([text()]) -> ok | {error, error()}.
rotate(Secrets) -> default(fun(Member) -> rotate(Member, Secrets) end).

%% @doc Takes other secrets of the cluster from now on, one to three; links that are up stay.
%% Errors: 101, 106, 501.
-spec rotate(handle(), [text()]) -> ok | {error, error()}.
rotate(Member, Secrets) ->
    with(primer_options:texts(Secrets), fun(Texts) -> primer_nif:rotate(Member, Texts) end).

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
