%% @doc `discover => nodes': in one VM, and in real ones that are connected.
-module(primer_nodes_tests).

-include_lib("eunit/include/eunit.hrl").

-import(primer_testing, [each/1]).

-export([met/1, took/1]).

-define(ALONE, [none, nodes]).
%% Only a failing test waits that long.
-define(LIMIT, 60_000).

here_test_() ->
    Tests = [
        fun members_of_one_cluster_find_each_other/0,
        fun alone_it_names_a_cluster_and_listens/0,
        fun other_ways_are_the_members_to_judge/0,
        fun without_the_application_it_answers_501/0,
        fun who_left_is_not_found/0,
        fun who_could_not_leave_is_found_again/0,
        fun an_address_that_does_not_answer_is_tried_again/0,
        fun it_keeps_no_member_open/0,
        fun a_crash_forgets_nobody/0,
        fun what_others_send_does_no_harm/0
    ],
    {setup, fun start/0, fun stop/1, {inorder, each(Tests)}}.

start() ->
    {ok, _} = application:ensure_all_started(primer),
    %% An address that does not answer is told as a warning.
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, none),
    Level.

stop(Level) ->
    ok = application:stop(primer),
    ok = logger:set_primary_config(level, Level).

%% A cluster that no other test has.
cluster() ->
    "nodes-" ++ integer_to_list(erlang:unique_integer([positive])).

open(Cluster) -> open(Cluster, #{}).

open(Cluster, Options) ->
    {ok, Member} = primer:open(Options#{cluster => Cluster, discover => ?ALONE}),
    Member.

plain(Cluster, Listen) ->
    {ok, Member} = primer:open(#{cluster => Cluster, discover => none, listen => Listen}),
    Member.

count(Member) ->
    {ok, Members} = primer:members(Member),
    length([Id || #{is_reachable := true, id := Id} <- Members]).

%% Asks every 10 ms until the member reaches so many, itself included; the test's own limit ends it
%% otherwise. (No event tells of a member's first sign of life.)
reached(Member, Wanted) ->
    case count(Member) of
        Wanted ->
            ok;
        _ ->
            timer:sleep(10),
            reached(Member, Wanted)
    end.

addresses(Cluster) ->
    gen_server:call(primer_nodes, {addresses, list_to_binary(Cluster)}).

close(Members) -> [ok = primer:close(Member) || Member <- Members].

%%% One VM %%%

members_of_one_cluster_find_each_other() ->
    Cluster = cluster(),
    First = open(Cluster),
    Other = open(cluster()),
    Plain = plain(Cluster, "127.0.0.1:0"),
    Second = open(Cluster),
    %% The call that opened it has waited for the other one.
    {ok, [_, _]} = primer:members(Second),
    reached(Second, 2),
    ?assertEqual([1, 1], [count(Member) || Member <- [Other, Plain]]),
    ?assertEqual(
        lists:sort([primer:address(First), primer:address(Second)]), lists:sort(addresses(Cluster))
    ),
    Silent = open(Cluster, #{listen => none}),
    ?assertEqual(undefined, primer:address(Silent)),
    ?assertEqual(2, length(addresses(Cluster))),
    %% It waited for the first answer, and hears of the others from there.
    reached(Silent, 3),
    close([First, Second, Other, Plain, Silent]),
    ?assertEqual([], addresses(Cluster)),
    %% Nor are those that are closed kept for ever.
    close([open(Cluster)]),
    ?assertEqual(1, ets:info(primer_nodes, size)).

alone_it_names_a_cluster_and_listens() ->
    {ok, Member} = primer:open([{discover, "none,nodes"}]),
    Address = primer:address(Member),
    ?assertEqual([Address], addresses("default")),
    close([Member]).

other_ways_are_the_members_to_judge() ->
    Before = ets:tab2list(primer_nodes),
    [
        ?assertMatch(
            {error, {wrong_call, invalid_argument, #{number := 101}}}, primer:open(#{discover => Ways})
        )
     || Ways <- [[nodes, moon], [local, none, nodes], [nodes, nodes], moon, []]
    ],
    ?assertEqual(Before, ets:tab2list(primer_nodes)).

without_the_application_it_answers_501() ->
    ok = application:stop(primer),
    ?assertMatch(
        {error, {member_down, closed, #{number := 501}}}, primer:open(#{cluster => cluster(), discover => nodes})
    ),
    %% All else needs no application.
    {ok, Member} = primer:open(#{cluster => cluster(), discover => none}),
    ok = primer:leave(Member),
    close([Member]),
    ok = application:start(primer).

who_left_is_not_found() ->
    Cluster = cluster(),
    [First, Second] = [open(Cluster), open(Cluster)],
    ok = primer:leave(Second),
    ?assertEqual([primer:address(First)], addresses(Cluster)),
    Third = open(Cluster),
    reached(Third, 2),
    ?assertEqual(1, count(Second)),
    close([First, Second, Third]).

who_could_not_leave_is_found_again() ->
    Cluster = cluster(),
    Member = open(Cluster),
    Address = primer:address(Member),
    Left = primer_nodes:leave(Member, fun() ->
        ?assertEqual([], addresses(Cluster)),
        {error, {not_now, left_behind, #{number => 205, reason => <<>>}}}
    end),
    ?assertMatch({error, {not_now, left_behind, _}}, Left),
    ?assertEqual([Address], addresses(Cluster)),
    close([Member]).

an_address_that_does_not_answer_is_tried_again() ->
    Cluster = cluster(),
    Before = plain(Cluster, "127.0.0.1:0"),
    Address = primer:address(Before),
    close([Before]),
    %% As if a member of that address had been opened here.
    Row = {<<"stranger">>, list_to_binary(Cluster), Address, primer_nif:weak(anchor())},
    true = ets:insert(primer_nodes, Row),
    Member = open(Cluster),
    ?assertEqual(1, count(Member)),
    {ok, Events} = primer:events(Member),
    After = plain(Cluster, Address),
    receive {primer, Events, #{kind := joined}} -> ok end,
    reached(Member, 2),
    true = ets:delete_object(primer_nodes, Row),
    close([Member, After]).

%% A member that lives as long as the calling process.
anchor() ->
    {ok, Member} = primer:open(),
    put(anchor, Member),
    Member.

it_keeps_no_member_open() ->
    Cluster = cluster(),
    First = open(Cluster),
    {ok, Events} = primer:events(First),
    {Pid, Monitor} = spawn_monitor(fun() ->
        Second = open(Cluster),
        receive never -> Second end
    end),
    receive {primer, Events, #{kind := joined}} -> ok end,
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    receive {primer, Events, #{kind := unreachable}} -> ok end,
    ?assertEqual([primer:address(First)], addresses(Cluster)),
    close([First]).

a_crash_forgets_nobody() ->
    Cluster = cluster(),
    First = open(Cluster),
    Monitor = monitor(process, primer_nodes),
    exit(whereis(primer_nodes), kill),
    receive {'DOWN', Monitor, process, _, killed} -> ok end,
    %% The supervisor starts it in the same step in which it sees the end.
    _ = supervisor:which_children(primer_sup),
    ?assertEqual([primer:address(First)], addresses(Cluster)),
    Second = open(Cluster),
    reached(Second, 2),
    close([First, Second]).

%% Nodes of other versions, or worse.
what_others_send_does_no_harm() ->
    Cluster = cluster(),
    Server = whereis(primer_nodes),
    First = open(Cluster),
    [?assertEqual({error, unknown}, gen_server:call(Server, Call)) || Call <- [addresses, {add, x}, {stop, x}, "x"]],
    ?assertEqual([], gen_server:call(Server, {addresses, self()})),
    [
        Server ! Message
     || Message <- [
            x, {look, x, y, z}, {'DOWN', make_ref(), process, self(), x}, {done, self(), x},
            {nodeup, 'no@where'}
        ]
    ],
    ok = gen_server:cast(Server, x),
    ?assertEqual([primer:address(First)], addresses(Cluster)),
    ?assertEqual(Server, whereis(primer_nodes)),
    close([First]).

%%% Connected VMs %%%

peers_test_() ->
    {timeout, 120, fun connected_nodes_find_each_other/0}.

connected_nodes_find_each_other() ->
    Directory = filename:join(scratch(), "primer-epmd-" ++ os:getpid() ++ "-" ++ cluster()),
    ok = file:make_dir(Directory),
    try
        [{A, NodeA}, {B, NodeB}] = [peer(Name, Directory) || Name <- ["a", "b"]],
        [] = peer:call(A, erlang, nodes, []),
        %% Both are there before they are connected.
        [started(Peer) || Peer <- [A, B]],
        true = peer:call(A, net_kernel, connect_node, [NodeB]),
        both(A, B),
        %% It comes back while they are connected, with another address.
        ok = peer:call(B, application, stop, [primer]),
        started(B),
        both(B, A),
        ?assertEqual([NodeB], peer:call(A, erlang, nodes, [])),
        ?assertEqual([NodeA], peer:call(B, erlang, nodes, [])),
        [ok = peer:stop(Peer) || Peer <- [A, B]]
    after
        {ok, Files} = file:list_dir(Directory),
        [ok = file:delete(filename:join(Directory, File)) || File <- Files],
        ok = file:del_dir(Directory)
    end.

scratch() -> os:getenv("TMPDIR", "/tmp").

%% A VM with a name, reached by its standard input; no daemon, and listening on this machine only.
peer(Name, Directory) ->
    Paths = [filename:absname(filename:dirname(code:which(Module))) || Module <- [?MODULE, primer]],
    {ok, Peer, Node} = peer:start_link(#{
        name => Name,
        host => "127.0.0.1",
        longnames => true,
        connection => standard_io,
        env => [{"PRIMER_TEST_EPMD", Directory}],
        args =>
            ["-pa" | Paths] ++
                ["-start_epmd", "false", "-epmd_module", "primer_test_epmd"] ++
                ["-setcookie", filename:basename(Directory)] ++
                ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
    }),
    {Peer, Node}.

started(Peer) ->
    _ = peer:call(Peer, application, load, [primer]),
    ok = peer:call(Peer, application, set_env, [primer, cluster, peers]),
    ok = peer:call(Peer, application, set_env, [primer, discover, ?ALONE]),
    {ok, _} = peer:call(Peer, application, ensure_all_started, [primer]).

%% They see each other, and a message has a copy at both.
both(One, Other) ->
    Addresses = [peer:call(Peer, primer, address, []) || Peer <- [One, Other]],
    [ok = peer:call(Peer, ?MODULE, met, [Address], ?LIMIT) || Peer <- [One, Other], Address <- Addresses],
    {ok, #{copies := 2}} = peer:call(One, primer, enqueue, [jobs, hd(Addresses), #{copies => 2, on_short => fail}]),
    ok = peer:call(Other, ?MODULE, took, [hd(Addresses)], ?LIMIT).

%% Asks every 10 ms until the default member of this VM reaches a member of that address.
met(Address) ->
    {ok, Members} = primer:members(),
    case [seen || #{address := Its, is_reachable := true} <- Members, Its =:= Address] of
        [seen] ->
            ok;
        [] ->
            timer:sleep(10),
            met(Address)
    end.

took(Body) ->
    {ok, [#{body := Body} = Delivery]} = primer:'receive'(jobs, #{wait => ?LIMIT}),
    primer:ack(Delivery).
