%% @doc Whole VMs of their own: how they end with members open, and what code purging does.
-module(primer_vm_tests).

-include_lib("eunit/include/eunit.hrl").

-export([busy/0, halt_in_a_storm/0, stop_in_a_storm/0, purge/0]).

vm_test_() ->
    [
        {timeout, 120, {atom_to_list(Name), fun() -> ?assertEqual({0, <<"done">>}, vm(Name)) end}}
     || Name <- [halt_in_a_storm, stop_in_a_storm, purge]
    ].

%% Runs one of the exported functions in a VM of its own: its exit code and the end of its output.
vm(Function) ->
    Paths = [filename:absname(filename:dirname(code:which(Module))) || Module <- [?MODULE, primer]],
    Arguments =
        ["-noshell", "-noinput", "-pa"] ++ Paths ++
            ["-s", atom_to_list(?MODULE), atom_to_list(Function)],
    Erl = filename:join([code:root_dir(), "bin", "erl"]),
    Port = open_port({spawn_executable, Erl}, [
        {args, Arguments}, {env, [{"ERL_CRASH_DUMP_BYTES", "0"}]}, exit_status, binary, stderr_to_stdout
    ]),
    gather(Port, <<>>).

gather(Port, Output) ->
    receive
        {Port, {data, Data}} -> gather(Port, <<Output/binary, Data/binary>>);
        {Port, {exit_status, Status}} -> {Status, Output}
    end.

%% Two members, waiting calls, and a subscription in full flow.
busy() ->
    {ok, Member} = primer:open(#{listen => "127.0.0.1:0"}),
    {ok, Other} = primer:open(#{seeds => [primer:address(Member)]}),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    {ok, Empty} = primer:queue(Other, <<"empty">>),
    [spawn(fun() -> primer:'receive'(Empty, #{wait => 1_000_000}) end) || _ <- lists:seq(1, 20)],
    Parent = self(),
    spawn(fun() ->
        {ok, Subscription} = primer:subscribe(Queue, #{credit => 1_000}),
        consume(Subscription, Parent, 1_000)
    end),
    spawn(fun() -> produce(Queue) end),
    receive flowing -> {Member, Queue} end.

consume(Subscription, Parent, Left) ->
    receive
        {primer, Subscription, Delivery} -> ok = primer:ack(Delivery)
    end,
    Left =:= 0 andalso (Parent ! flowing),
    consume(Subscription, Parent, Left - 1).

produce(Queue) ->
    {ok, _} = primer:enqueue(Queue, binary:copy(<<"x">>, 100)),
    produce(Queue).

halt_in_a_storm() ->
    Held = busy(),
    io:put_chars("done"),
    halt(0),
    Held.

stop_in_a_storm() ->
    Held = busy(),
    io:put_chars("done"),
    init:stop(0),
    receive never -> Held end.

%% A native library cannot be upgraded: the attempt fails and the old one goes on. Purged by force, its
%% handles are no handles any more, and new members work.
purge() ->
    ok = logger:set_primary_config(level, none),
    {ok, Member} = primer:open(),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    {ok, Subscription} = primer:subscribe(Queue),
    {error, on_load_failure} = code:load_file(primer_nif),
    {ok, _} = primer:enqueue(Queue, <<"x">>),
    {ok, Delivery} = primer:next(Subscription, infinity),
    true = code:delete(primer_nif),
    _ = code:purge(primer_nif),
    badarg =
        try
            primer:ack(Delivery)
        catch
            error:badarg -> badarg
        end,
    {ok, Next} = primer:open(),
    {ok, NextQueue} = primer:queue(Next, <<"jobs">>),
    {ok, _} = primer:enqueue(NextQueue, <<"x">>),
    {ok, [Again]} = primer:'receive'(NextQueue),
    ok = primer:ack(Again),
    ok = primer:close(Next),
    io:put_chars("done"),
    halt(0),
    {Member, Queue, Subscription, Delivery}.
