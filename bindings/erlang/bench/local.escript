#!/usr/bin/env escript
%%! -noinput
%% One process, one member in memory, 100-byte messages: enqueue, receive, ack. Prints a line a row,
%% tab-separated: row, value, unit. ERL_LIBS names the folder that holds the built application, e.g.
%% _build/default/lib.

-mode(compile).
-define(ROUNDS, 7).

main(_) ->
    {ok, Member} = primer:open(),
    {ok, Queue} = primer:queue(Member, <<"bench">>),
    Body = binary:copy(<<"x">>, 100),
    Bodies = lists:duplicate(100, Body),
    One = fun(N) -> one(Queue, Body, N) end,
    Many = fun(N) -> many(Queue, Bodies, N div 100) end,
    Push = fun(N) -> push(Queue, Bodies, N div 100) end,
    row("erlang local one at a time", One, 200_000),
    row("erlang local batches of 100", Many, 1_000_000),
    row("erlang local push, batches of 100", Push, 300_000),
    ok = primer:close(Member).

one(_Queue, _Body, 0) ->
    ok;
one(Queue, Body, N) ->
    {ok, _} = primer:enqueue(Queue, Body),
    {ok, [Message]} = primer:'receive'(Queue),
    ok = primer:ack(Message),
    one(Queue, Body, N - 1).

many(_Queue, _Bodies, 0) ->
    ok;
many(Queue, Bodies, N) ->
    {ok, _} = primer:enqueue_many(Queue, Bodies),
    {ok, Messages} = primer:'receive'(Queue, #{max => 100}),
    {ok, _} = primer:ack_many(Messages),
    many(Queue, Bodies, N - 1).

push(Queue, Bodies, N) ->
    {ok, Subscription} = primer:subscribe(Queue, #{credit => 1_000}),
    pushed(Queue, Subscription, Bodies, N),
    ok = primer:close(Subscription).

pushed(_Queue, _Subscription, _Bodies, 0) ->
    ok;
pushed(Queue, Subscription, Bodies, N) ->
    {ok, _} = primer:enqueue_many(Queue, Bodies),
    Messages = [receive {primer, Subscription, Message} -> Message end || _ <- Bodies],
    {ok, _} = primer:ack_many(Messages),
    pushed(Queue, Subscription, Bodies, N - 1).

%% The best of several rounds, after one to warm up.
row(Name, Run, Count) ->
    Run(Count div 10),
    Times = [element(1, timer:tc(Run, [Count])) || _ <- lists:seq(1, ?ROUNDS)],
    io:format("~s\t~b\tmsg/s~n", [Name, Count * 1_000_000 div lists:min(Times)]).
