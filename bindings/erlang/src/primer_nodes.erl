%% @doc Finds the members of a cluster in the connected Erlang nodes, for members that were opened with
%% `discover => nodes'.
%%
%% `nodes' stands beside `local' and `none': alone it adds to what a member does by default, and
%% `[none, nodes]' looks nowhere else. It finds and does not trust: which node knows an address says
%% nothing about who may be a member, so the cluster's secret or certificates decide that as ever, and
%% Erlang's cookie plays no part. Across machines a member listens where the others reach it:
%%
%% ```
%% {primer, [{cluster, shop}, {discover, nodes}, {listen, "0.0.0.0:7400"}, {secret, "..."}]}
%% '''
%%
%% On each node this process has the addresses of that node's members and asks other nodes for theirs: all
%% connected ones when a member opens, a new one when it is connected. So of two members the later one
%% finds the other. What is found is joined once; from then on the members dial each other for ever. A
%% node that did not answer, or an address that did not, is asked again for as long as the node is
%% connected. A member that left the cluster looks for nobody and is not found any more.
-module(primer_nodes).
-behaviour(gen_server).

-include_lib("kernel/include/logger.hrl").

-export([start_link/0, table/0, open/2, leave/2]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2]).

%% The members of this node. The table is the supervisor's, so that it outlives this process.
-define(TABLE, ?MODULE).
%% How long `open' waits for the first answer, as for seeds.
-define(OPEN_MS, 2_000).
%% How long a node may take to tell its addresses.
-define(ASK_MS, 5_000).
%% How soon a failure is followed by another attempt: doubling from the first to the second.
-define(AGAIN_MS_MIN, 500).
-define(AGAIN_MS_MAX, 30_000).

%% The weak handle does not keep a member open that nobody else refers to.
-type row() :: {
    Id :: binary(), Cluster :: binary(), Address :: binary() | undefined, Weak :: primer:handle()
}.
%% One look at some nodes for one member, in a process of its own.
-record(look, {
    monitor :: reference(),
    row :: row(),
    nodes :: [node()],
    tries :: non_neg_integer()
}).
-type looks() :: #{pid() => #look{}}.

%% @private
-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @private Makes the table, which belongs to the calling process.
-spec table() -> ok.
table() ->
    ?TABLE = ets:new(?TABLE, [named_table, public]),
    ok.

%% @private Opens a member by `Start', and finds others for it if its options say so. Waits until one of
%% them answered, or none is there, at most two seconds. Errors: what `Start' answers; 501 when the
%% application does not run.
-spec open(Pairs, fun((Pairs) -> Opened)) -> Opened when
    Pairs :: [{binary(), binary()}],
    Opened :: {ok, primer:handle()} | {error, primer:error()}.
open(Pairs, Start) ->
    case lists:partition(fun is_sought/1, Pairs) of
        {[], _} ->
            Start(Pairs);
        {Sought, Rest} ->
            case whereis(?MODULE) of
                undefined -> not_running();
                _ -> opened(Start(Rest ++ lists:flatmap(fun others/1, Sought) ++ cluster(Rest)), Rest)
            end
    end.

%% A member that looks for others belongs to a cluster, also to the one that needs no name.
cluster(Pairs) ->
    [{<<"cluster">>, <<"default">>} || not lists:keymember(<<"cluster">>, 1, Pairs)].

is_sought({<<"discover">>, Ways}) -> lists:member(<<"nodes">>, ways(Ways));
is_sought(_) -> false.

%% The other ways to find members are the native layer's to judge.
others({Key, Ways}) ->
    case lists:delete(<<"nodes">>, ways(Ways)) of
        [] -> [];
        Others -> [{Key, iolist_to_binary(lists:join(<<",">>, Others))}]
    end.

ways(Ways) -> binary:split(Ways, <<",">>, [global]).

opened({ok, Member} = Opened, Pairs) ->
    %% Of several pairs with one key the last one counts.
    {_, Cluster} = lists:keyfind(<<"cluster">>, 1, lists:reverse(Pairs) ++ cluster(Pairs)),
    case self_id(Member) of
        {ok, Id} ->
            Row = {Id, Cluster, primer:address(Member), primer_nif:weak(Member)},
            try gen_server:call(?MODULE, {add, Row}, ?OPEN_MS) of
                ok -> Opened
            catch
                exit:{timeout, _} ->
                    Opened;
                exit:_ ->
                    _ = primer:close(Member),
                    not_running()
            end;
        {error, _} = Error ->
            Error
    end;
opened({error, _} = Error, _Pairs) ->
    Error.

not_running() ->
    Reason = <<"the application primer is not running">>,
    {error, {member_down, closed, #{number => 501, reason => Reason}}}.

%% @private Lets a member leave by `Verb'. From before until the end nobody finds it, else a look that
%% comes in between would bring it back.
-spec leave(primer:handle(), fun(() -> Left)) -> Left when Left :: ok | {error, primer:error()}.
leave(Member, Verb) ->
    case rows(Member) of
        [] ->
            Verb();
        [Row] ->
            forget(Row),
            case Verb() of
                ok ->
                    ok;
                {error, _} = Error ->
                    %% It is a member still.
                    remember(Row),
                    Error
            end
    end.

forget(Row) ->
    try
        true = ets:delete_object(?TABLE, Row),
        ok = gen_server:call(?MODULE, {stop, Row}, infinity)
    catch
        %% The application ends, and with it every look.
        _:_ -> ok
    end.

remember(Row) ->
    try
        true = ets:insert(?TABLE, Row),
        _ = ?MODULE ! {look, Row, [node() | nodes()], 0},
        ok
    catch
        error:badarg -> ok
    end.

rows(Member) ->
    case ets:info(?TABLE, size) of
        Size when is_integer(Size), Size > 0 ->
            case self_id(Member) of
                {ok, Id} -> ets:lookup(?TABLE, Id);
                {error, _} -> []
            end;
        _ ->
            []
    end.

self_id(Member) ->
    case primer:members(Member) of
        {ok, Members} ->
            [Id] = [Id || #{is_self := true, id := Id} <- Members],
            {ok, Id};
        {error, _} = Error ->
            Error
    end.

%%% The process %%%

%% @private
-spec init([]) -> {ok, looks(), {continue, look}}.
init([]) ->
    ok = net_kernel:monitor_nodes(true),
    {ok, #{}, {continue, look}}.

%% @private After a crash there are members already.
-spec handle_continue(look, looks()) -> {noreply, looks()}.
handle_continue(look, Looks) ->
    {noreply, look_all([node() | nodes()], Looks)}.

%% @private Other nodes ask for addresses; a message of a later version is answered, too.
-spec handle_call(term(), gen_server:from(), looks()) -> {reply, term(), looks()} | {noreply, looks()}.
handle_call({addresses, Cluster}, _From, Looks) ->
    Rows = ets:match_object(?TABLE, {'_', Cluster, '_', '_'}),
    Addresses = [
        Address
     || {_, _, Address, Weak} <- Rows, is_binary(Address), not primer_nif:is_closed(Weak)
    ],
    {reply, Addresses, Looks};
handle_call({add, {_, _, _, _} = Row}, From, Looks) ->
    forget_closed(),
    true = ets:insert(?TABLE, Row),
    {noreply, look(Row, [node() | nodes()], 0, From, Looks)};
handle_call({stop, {_, _, _, _} = Row}, _From, Looks) ->
    {reply, ok, maps:filter(fun(Pid, Look) -> not is_stopped(Row, Pid, Look) end, Looks)};
handle_call(_, _From, Looks) ->
    {reply, {error, unknown}, Looks}.

%% Of those whose members were closed nobody told this process.
forget_closed() ->
    Closed = [Row || {_, _, _, Weak} = Row <- ets:tab2list(?TABLE), primer_nif:is_closed(Weak)],
    lists:foreach(fun(Row) -> ets:delete_object(?TABLE, Row) end, Closed).

is_stopped(Row, Pid, #look{monitor = Monitor, row = Row}) ->
    true = exit(Pid, kill),
    receive
        {'DOWN', Monitor, process, Pid, _} -> true
    end;
is_stopped(_Row, _Pid, _Look) ->
    false.

%% @private
-spec handle_cast(term(), looks()) -> {noreply, looks()}.
handle_cast(_, Looks) ->
    {noreply, Looks}.

%% @private
-spec handle_info(term(), looks()) -> {noreply, looks()}.
handle_info({nodeup, Node}, Looks) ->
    {noreply, look_all([Node], Looks)};
handle_info({look, {Id, _, _, _} = Row, Nodes, Tries}, Looks) ->
    Connected = [Node || Node <- Nodes, lists:member(Node, [node() | nodes()])],
    case Connected =/= [] andalso ets:lookup(?TABLE, Id) of
        [Row] -> {noreply, look(Row, Connected, Tries, none, Looks)};
        _ -> {noreply, Looks}
    end;
handle_info({done, Pid, Result}, Looks) when is_map_key(Pid, Looks) ->
    {#look{monitor = Monitor, row = Row, tries = Tries}, Rest} = maps:take(Pid, Looks),
    true = demonitor(Monitor, [flush]),
    case Result of
        {failed, Nodes} ->
            again(Row, Nodes, Tries);
        closed ->
            true = ets:delete_object(?TABLE, Row),
            ok
    end,
    {noreply, Rest};
handle_info({'DOWN', _Monitor, process, Pid, _Reason}, Looks) when is_map_key(Pid, Looks) ->
    {#look{row = Row, nodes = Nodes, tries = Tries}, Rest} = maps:take(Pid, Looks),
    ok = again(Row, Nodes, Tries),
    {noreply, Rest};
handle_info(_, Looks) ->
    {noreply, Looks}.

again(_Row, [], _Tries) ->
    ok;
again(Row, Nodes, Tries) ->
    Pause = min(?AGAIN_MS_MAX, ?AGAIN_MS_MIN bsl min(Tries, 10)),
    _ = erlang:send_after(Pause, self(), {look, Row, Nodes, Tries + 1}),
    ok.

look_all(Nodes, Looks) ->
    ets:foldl(fun(Row, Some) -> look(Row, Nodes, 0, none, Some) end, Looks, ?TABLE).

%%% Looks %%%

look(Row, Nodes, Tries, From, Looks) ->
    Server = self(),
    {Pid, Monitor} = spawn_monitor(fun() -> Server ! {done, self(), joined(Row, Nodes, Tries, From)} end),
    Looks#{Pid => #look{monitor = Monitor, row = Row, nodes = Nodes, tries = Tries}}.

%% Joins what the nodes know: the nodes where that failed.
joined({_, Cluster, _, Weak}, Nodes, Tries, From) ->
    case not primer_nif:is_closed(Weak) andalso primer_nif:strong(Weak) of
        {ok, Member} ->
            Asked = [{Node, ask(Node, Cluster)} || Node <- Nodes],
            Failed = [
                Node
             || {Node, Request} <- Asked,
                not is_met(gen_server:receive_response(Request, ?ASK_MS), Member, Node, Tries, From)
            ],
            told(From),
            {failed, Failed};
        _ ->
            closed
    end.

ask(Node, Cluster) ->
    gen_server:send_request({?MODULE, Node}, {addresses, Cluster}).

is_met({reply, Addresses}, Member, Node, Tries, From) when is_list(Addresses) ->
    Met = [is_joined(Member, Address, Node, Tries, From) || Address <- Addresses, is_binary(Address)],
    lists:all(fun(Is) -> Is end, Met);
is_met({reply, _}, _Member, _Node, _Tries, _From) ->
    true;
%% Its application does not run: when it does, its members look here. A node that comes back does, too.
is_met({error, {noproc, _}}, _Member, _Node, _Tries, _From) ->
    true;
is_met({error, {noconnection, _}}, _Member, _Node, _Tries, _From) ->
    true;
is_met(_, _Member, _Node, _Tries, _From) ->
    false.

is_joined(Member, Address, Node, Tries, From) ->
    case primer:members(Member) of
        {ok, Members} ->
            Known = lists:any(fun(#{address := Its}) -> Its =:= Address end, Members),
            Known orelse is_joined_now(Member, Address, Node, Tries, From);
        {error, _} ->
            true
    end.

is_joined_now(Member, Address, Node, Tries, From) ->
    case primer:join(Member, Address) of
        ok ->
            told(From),
            true;
        {error, {member_down, _, _}} ->
            true;
        {error, Error} ->
            Level = case Tries of 0 -> warning; _ -> debug end,
            ?LOG(Level, #{
                label => {primer_nodes, not_joined}, node => Node, address => Address, error => Error
            }),
            false
    end.

%% Who opened the member waits for the first answer only.
told(none) -> ok;
told(From) -> gen_server:reply(From, ok).
