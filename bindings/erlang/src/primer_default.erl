%% @private The default member: the one that verbs use when they are given a queue's name.
%%
%% It is opened with the application's environment: at once if that names any option (a member that
%% is to join a cluster should not wait for its first message), else on first use, in memory. It is
%% watched by its events; when it fails, this process ends and the supervisor opens another one.
-module(primer_default).
-behaviour(gen_server).

-export([start_link/0, member/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-record(state, {
    member :: primer:handle() | undefined,
    events :: reference() | undefined
}).

-define(KEY, {primer, default_member}).

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc The default member. Errors: 501 while the application does not run; what `open' answers.
-spec member() -> {ok, primer:handle()} | {error, primer:error()}.
member() ->
    case persistent_term:get(?KEY, undefined) of
        undefined -> ask();
        Member -> {ok, Member}
    end.

ask() ->
    try
        gen_server:call(?MODULE, member, infinity)
    catch
        exit:_ ->
            Reason = <<"the application primer is not running">>,
            {error, {member_down, closed, #{number => 501, reason => Reason}}}
    end.

-spec init([]) -> {ok, #state{}} | {stop, term()}.
init([]) ->
    process_flag(trap_exit, true),
    case environment() of
        [] ->
            {ok, #state{}};
        Options ->
            case open(Options) of
                {ok, State} -> {ok, State};
                {error, Error} -> {stop, Error}
            end
    end.

%% What OTP itself keeps in an application's environment is no option.
environment() ->
    [Pair || {Key, _} = Pair <- application:get_all_env(primer), Key =/= included_applications].

open(Options) ->
    case primer:open(Options) of
        {ok, Member} ->
            {ok, Events} = primer:events(Member),
            persistent_term:put(?KEY, Member),
            {ok, #state{member = Member, events = Events}};
        {error, _} = Error ->
            Error
    end.

-spec handle_call(member, gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call(member, _From, #state{member = undefined} = State) ->
    case open(environment()) of
        {ok, Opened} -> {reply, {ok, Opened#state.member}, Opened};
        {error, _} = Error -> {reply, Error, State}
    end;
handle_call(member, _From, #state{member = Member} = State) ->
    {reply, {ok, Member}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_info({primer, Events, {error, Error}}, #state{events = Events} = State) ->
    {stop, Error, State};
handle_info(_, State) ->
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{member = undefined}) ->
    ok;
terminate(_Reason, #state{member = Member}) ->
    persistent_term:erase(?KEY),
    _ = primer:close(Member),
    ok.
