%% @private Supervises the default member, and who finds others for it.
-module(primer_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    ok = primer_nodes:table(),
    Nodes = #{id => primer_nodes, start => {primer_nodes, start_link, []}},
    Default = #{id => primer_default, start => {primer_default, start_link, []}},
    {ok, {#{strategy => one_for_one, intensity => 3, period => 60}, [Nodes, Default]}}.
